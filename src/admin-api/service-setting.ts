/** A setting of a Service. */
export interface ServiceSettingResponse {
  /** The value in force, as it is written. */
  readonly value: string;
  /** `earlier-annotation`: the annotation has a wrong value now, and its last valid value stays. */
  readonly from: 'annotation' | 'earlier-annotation' | 'configuration';
}
