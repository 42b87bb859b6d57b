import { Component } from "react";
import type { ReactNode } from "react";
import { reasonOf } from "./notices";
import { signOut } from "./session";

/** Stands in for a page that cannot be shown, and says why. */
export class Trouble extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {};

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <main className="trouble">
        <h1>This page cannot be shown</h1>
        <p role="alert">{reasonOf(error)}</p>
        <p>
          <button className="primary" onClick={() => location.reload()}>
            Load it again
          </button>{" "}
          <button onClick={signOut}>Sign out</button>
        </p>
      </main>
    );
  }
}
