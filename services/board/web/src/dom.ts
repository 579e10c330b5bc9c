// Elements without a framework. Writes no markup and no style attributes: the security policy forbids both.

type Child = Node | string | null;

export interface Props {
  class?: string;
  text?: string;
  title?: string;
  id?: string;
  /** Any other attribute; null leaves it out. */
  attr?: Record<string, string | null>;
  on?: Partial<{ [K in keyof HTMLElementEventMap]: (event: HTMLElementEventMap[K]) => void }>;
}

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (props.class) element.className = props.class;
  if (props.text !== undefined) element.textContent = props.text;
  if (props.title !== undefined) element.title = props.title;
  if (props.id !== undefined) element.id = props.id;
  for (const [name, value] of Object.entries(props.attr ?? {})) {
    if (value !== null) element.setAttribute(name, value);
  }
  for (const [name, listener] of Object.entries(props.on ?? {})) {
    element.addEventListener(name, listener as EventListener);
  }
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number> = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG_NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

/** Set a text only if it differs, which avoids layout. */
export function put(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function flag(element: Element, name: string, value: string | null): void {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** A list of rows that are created once and then updated. */
export class Rows<Item, Row extends { element: HTMLElement }> {
  readonly #rows: Row[] = [];
  readonly #parent: HTMLElement;
  readonly #make: () => Row;
  readonly #write: (row: Row, item: Item) => void;

  constructor(parent: HTMLElement, make: () => Row, write: (row: Row, item: Item) => void) {
    this.#parent = parent;
    this.#make = make;
    this.#write = write;
  }

  show(items: readonly Item[]): void {
    for (const [index, item] of items.entries()) {
      let row = this.#rows[index];
      if (row === undefined) {
        row = this.#make();
        this.#rows.push(row);
        this.#parent.append(row.element);
      }
      this.#write(row, item);
    }
    for (const spare of this.#rows.splice(items.length)) spare.element.remove();
  }
}

/** Call `resized` with the content box whenever it changes. */
export function watchSize(element: Element, resized: (width: number, height: number) => void): void {
  new ResizeObserver((entries) => {
    const box = entries.at(-1)?.contentRect;
    if (box && box.width > 0) resized(Math.round(box.width), Math.round(box.height));
  }).observe(element);
}
