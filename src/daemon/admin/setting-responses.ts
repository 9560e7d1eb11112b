import type { ServiceSettingResponse } from '../../admin-api/service-setting.js';
import { serviceAnnotationNames, type ServiceAnnotations } from '../../model/settings/service-annotations.js';

const settingResponse = (
  given: string | undefined,
  valid: string | undefined,
  byDefault: string | undefined,
): ServiceSettingResponse | undefined => {
  if (valid !== undefined)
    return { value: valid, from: valid === given ? 'annotation' : 'earlier-annotation' };
  return byDefault === undefined ? undefined : { value: byDefault, from: 'configuration' };
};

/** The settings of a Service and where each is from; undefined if nothing chooses any. */
export const settingResponses = (
  annotations: ServiceAnnotations,
  valid: ServiceAnnotations,
  defaults: ServiceAnnotations,
): Readonly<Record<string, ServiceSettingResponse>> | undefined => {
  const settings: Record<string, ServiceSettingResponse> = {};
  for (const name of serviceAnnotationNames) {
    const setting = settingResponse(annotations[name], valid[name], defaults[name]);
    if (setting !== undefined) settings[name] = setting;
  }
  return Object.keys(settings).length === 0 ? undefined : settings;
};
