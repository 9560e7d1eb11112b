import { spawnSync } from 'node:child_process';
import type { Random } from '../support/random.js';
import type { Daemons } from './daemons.js';
import type { World } from './world.js';

/** Whose connections break all the time asks an API server ever less often: then nothing here is followed for minutes. */
const apiPauseMilliseconds = 150_000;

/** What others do to the node, to the API server and to the configuration. */
export class Disturbances {
  /** Virtual servers of others, by their keys in `dump -o json`. */
  readonly foreign = new Set<string>();
  scheduler = 'rr';
  #apiNext = 0;

  constructor(
    private readonly world: World,
    private readonly daemons: Daemons,
    private readonly random: Random,
    /** How many Services there are beside `web`. */
    private readonly services: number,
  ) {}

  /** Does something; gives its name, so that a report tells how often each was done. */
  next(): string {
    const isDue = performance.now() >= this.#apiNext;
    const [name, act] = this.random.pick(
      Object.entries(isDue ? { ...this.#ofOthers, ...this.#ofApi } : this.#ofOthers),
    );
    if (name in this.#ofApi) this.#apiNext = performance.now() + apiPauseMilliseconds;
    act();
    return name;
  }

  readonly #ofApi: Readonly<Record<string, () => void>> = {
    'API connections reset': () => this.world.server.dropConnections(),
    'API history compacted': () => {
      this.world.server.compact();
      this.world.server.dropConnections();
    },
    'API request refused': () => {
      this.world.server.fail({
        fault: { fault: 'status', status: 503 },
        verb: ['watch', 'watchlist', 'list'],
      });
      this.world.server.dropConnections();
    },
    'watch cut': () => {
      this.world.server.fail({ verb: 'watch', fault: { fault: 'cut', after: this.random.below(20) } });
      this.world.server.dropConnections();
    },
  };

  readonly #ofOthers: Readonly<Record<string, () => void>> = {
    'configuration changed': () => {
      this.scheduler = this.random.pick(['rr', 'lc', 'wrr']);
      this.configure(10 + this.random.below(50));
    },
    'virtual server deleted by others': () => this.#run('ipvsadm', '-D', '-t', `${this.#other()}:80`),
    'virtual server changed by others': () =>
      this.#run('ipvsadm', '-E', '-t', `${this.#other()}:80`, '-s', 'sh'),
    'real server added by others': () =>
      this.#run('ipvsadm', '-a', '-t', `${this.#other()}:80`, '-r', '10.126.0.1:80', '-m'),
    'address deleted by others': () =>
      this.#run('ip', 'address', 'delete', `${this.#other()}/32`, 'dev', 'kube-ipvs0'),
    'packet rule deleted by others': () =>
      this.#run(
        'nft',
        'delete',
        'element',
        'ip',
        'kube-ipvs',
        'cluster-ip',
        `{ ${this.#other()} . tcp . 80 }`,
      ),
    'virtual server made by others': () => {
      const at = `203.0.113.${1 + this.random.below(5)}:80`;
      const [option, change] = this.foreign.has(`TCP ${at}`) ? ['-D', 'delete'] : ['-A', 'add'];
      this.#run('ipvsadm', option, '-t', at);
      if (change === 'add') this.foreign.add(`TCP ${at}`);
      else this.foreign.delete(`TCP ${at}`);
    },
  };

  configure(syncPeriodSeconds: number): void {
    this.daemons.configure({ syncPeriodSeconds, scheduler: this.scheduler });
  }

  #other(): string {
    const index = this.random.below(this.services);
    return `10.97.${index >> 8}.${index & 255}`;
  }

  /** What is not there now cannot be changed, which is nobody's fault. */
  #run(command: string, ...args: readonly string[]): void {
    spawnSync(command, args, { stdio: 'ignore' });
  }
}
