import { advise, type Remedy } from './remedy.js';

/** Has kube-ipvs take over the virtual servers of a Service (`namespace/name`) that another program created. */
export const takeOverRemedy = (service: string): Remedy => {
  const [namespace = '', name = ''] = service.split('/');
  return advise(
    `Let kube-ipvs take over the virtual servers of Service ${service}.`,
    `kubectl -n ${namespace} annotate service ${name} ipvs.kube-ipvs.dev/take-over-foreign=true`,
  );
};
