/**
 * The flag without which the scheduler rejects the clients that it assigned to a real server of weight 0
 * (ip_vs_sh_get in net/netfilter/ipvs/ip_vs_sh.c, ip_vs_mh_get in ip_vs_mh.c); undefined if it needs none.
 */
export const fallbackFlag = (scheduler: string): 'sh-fallback' | 'mh-fallback' | undefined =>
  scheduler === 'sh' || scheduler === 'mh' ? `${scheduler}-fallback` : undefined;
