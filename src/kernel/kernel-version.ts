/** The first two numbers of a kernel release. */
export interface KernelVersion {
  readonly major: number;
  readonly minor: number;
}

/** Parses a release of `uname -r`: `5.4.0-1012-gke`, `4.18.0-553.el8`, `6.1.192-lab`, `7.2`. Undefined for other text. */
export const parseRelease = (release: string): KernelVersion | undefined => {
  const [, major, minor] = /^(\d+)\.(\d+)(?![\d])/.exec(release.trim()) ?? [];
  return major === undefined || minor === undefined
    ? undefined
    : { major: Number(major), minor: Number(minor) };
};

/** Whether it is the version `major.minor` or a later one. */
export const isAtLeast = (version: KernelVersion, major: number, minor: number): boolean =>
  version.major > major || (version.major === major && version.minor >= minor);

/** Whether rules of the kernel may refuse packets before they are routed (kernel commit f53b9b0bdc59). False for other text. */
export const refusesBeforeRouting = (release: string): boolean => {
  const version = parseRelease(release);
  return version !== undefined && isAtLeast(version, 5, 9);
};
