import { el } from './elements.js';

/** What the address of the page shows: `#drains`, `#services/shop/web`. */
export interface Location {
  readonly view: View;
  /** The Service that is explained. */
  readonly service: string | undefined;
}

export const views = ['services', 'servers', 'drains', 'drift', 'problems'] as const;
export type View = (typeof views)[number];

export const parseLocation = (hash: string): Location => {
  const [view = '', ...service] = hash.replace(/^#/, '').split('/').map(decodeURIComponent);
  return {
    view: views.find((one) => one === view) ?? 'services',
    service: service.length === 2 ? service.join('/') : undefined,
  };
};

export const locationHash = ({ view, service }: Location): string =>
  `#${view}${service === undefined ? '' : `/${service.split('/').map(encodeURIComponent).join('/')}`}`;

/** A link that explains a Service in the present view. */
export const serviceLink = (service: string | undefined): Node => {
  if (service === undefined) return el('span', { text: '–' });
  const { view } = parseLocation(location.hash);
  return el('a', { text: service, attributes: { href: locationHash({ view, service }) } });
};
