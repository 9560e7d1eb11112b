type Child = Node | string | undefined | false;

interface Properties {
  readonly class?: string | undefined;
  readonly text?: string | undefined;
  /** Attributes; undefined: absent. */
  readonly attributes?: Readonly<Record<string, string | undefined>> | undefined;
  readonly onclick?: ((event: MouseEvent) => void) | undefined;
}

const fill = <E extends Element>(
  element: E,
  { attributes = {}, text }: Properties,
  children: readonly Child[],
): E => {
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  element.append(
    ...children.filter((child): child is Node | string => child !== undefined && child !== false),
  );
  return element;
};

/** Makes an element. Text is never parsed as HTML. */
export const el = <Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] => {
  const element = document.createElement(tag);
  if (properties.class !== undefined) element.className = properties.class;
  const { onclick } = properties;
  if (onclick !== undefined) element.addEventListener('click', (event) => onclick(event as MouseEvent));
  return fill(element, properties, children);
};

export const svg = <Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly Node[]
): SVGElementTagNameMap[Tag] =>
  fill(document.createElementNS('http://www.w3.org/2000/svg', tag), { attributes }, children);

/** An element of index.html. */
export const byId = (id: string): HTMLElement => {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`index.html has no element ${id}`);
  return element;
};

/** Sets the text if it differs: a live region then announces it once. */
export const setText = (element: Element, text: string): void => {
  if (element.textContent !== text) element.textContent = text;
};
