/** The seed of this process's random tests, printed so that a failure can be had again: KUBE_IPVS_SEED=NUMBER in the environment. */
export const seed = Number(process.env['KUBE_IPVS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
console.log(`KUBE_IPVS_SEED=${seed}`);
