// A page to render into, and a node whose answers tests decide.
import { act, createElement } from "react";
import type { ReactNode } from "react";
import { createRoot, hydrateRoot } from "react-dom/client";
import { Client } from "@ankurah/client";
import type { Snapshot } from "@ankurah/client";
import { AnkurahProvider } from "../src/index.js";
import { Fake } from "../../client/test/fake.js";

(globalThis as any).IS_REACT_ACT_ENVIRONMENT = true;

export class Page {
  readonly node = new Fake();
  readonly client = new Client(this.node.host);
  readonly element = document.createElement("div");
  private root: { render(n: ReactNode): void; unmount(): void } | undefined;

  async greet(): Promise<this> {
    await this.node.greet();
    return this;
  }

  async show(children: ReactNode): Promise<void> {
    await act(async () => {
      this.root ??= createRoot(this.element);
      this.root.render(createElement(AnkurahProvider, { client: this.client }, children));
    });
  }

  /** Takes over what a server rendered. */
  async hydrate(html: string, initial: Snapshot, children: ReactNode): Promise<unknown[]> {
    const errors: unknown[] = [];
    this.element.innerHTML = html;
    await act(async () => {
      this.root = hydrateRoot(this.element, createElement(AnkurahProvider, { client: this.client, initial }, children), { onRecoverableError: (e) => errors.push(e) });
    });
    return errors;
  }

  async hear(f: (node: Fake) => void): Promise<void> {
    await act(async () => f(this.node));
  }

  get text(): string {
    return this.element.textContent ?? "";
  }

  end(): void {
    act(() => this.root?.unmount());
    this.client.close();
  }
}
