import { useState } from "react";
import type { FormEvent } from "react";
import { signIn } from "./session";

export function SignIn() {
  const [name, setName] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    try {
      await signIn(name);
      location.reload();
    } catch (e) {
      setError((e as Error).message);
      setBusy(false);
    }
  };

  return (
    <main className="sign-in">
      <form onSubmit={submit}>
        <img src="/icon.svg" alt="" width="56" height="56" />
        <h1>Chat</h1>
        <p>What you read and write here is kept in your browser, and is there without the network.</p>
        <label htmlFor="name">Your name</label>
        <input
          id="name"
          value={name}
          onChange={(e) => setName(e.target.value)}
          autoComplete="nickname"
          autoFocus
          required
          maxLength={40}
          aria-describedby={error ? "sign-in-error" : undefined}
        />
        {error && (
          <p id="sign-in-error" role="alert" className="error">
            {error}
          </p>
        )}
        <button className="primary" disabled={busy || !name.trim()}>
          {busy ? "Signing in…" : "Enter"}
        </button>
      </form>
    </main>
  );
}
