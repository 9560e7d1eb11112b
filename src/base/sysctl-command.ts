/** The command that sets a kernel parameter. */
export const sysctlCommand = (name: string, value: number | string): string =>
  `sysctl -w ${typeof value === 'string' && value.includes(' ') ? `"${name}=${value}"` : `${name}=${value}`}`;
