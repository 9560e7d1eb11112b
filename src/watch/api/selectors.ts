import { serviceProxyNameLabel } from '../../model/instance-names.js';

/** The label selector of the Services of an instance. */
export const serviceSelector = (serviceProxyName: string): string =>
  serviceProxyName === '' ? `!${serviceProxyNameLabel}` : `${serviceProxyNameLabel}=${serviceProxyName}`;

const notHeadless = '!service.kubernetes.io/headless';

/**
 * The label selector of the EndpointSlices of an instance. The EndpointSlice controller copies the labels of the Service, so an
 * instance for some Services does not watch the slices of all others.
 */
export const endpointSliceSelector = (serviceProxyName: string): string =>
  serviceProxyName === '' ? notHeadless : `${serviceSelector(serviceProxyName)},${notHeadless}`;
