import { useRef, useState } from "react";
import type { FormEvent, KeyboardEvent } from "react";

interface Props {
  room: string;
  name: string;
  /** Sends a text; again puts it back if it is refused. */
  send: (text: string, again: (text: string) => void) => void;
  editLast: () => void;
}

// What was begun stays when the room is left.
const drafts = new Map<string, string>();

export function Composer({ room, name, send, editLast }: Props) {
  const [text, setText] = useState(drafts.get(room) ?? "");
  const field = useRef<HTMLTextAreaElement>(null);

  const write = (text: string) => {
    drafts.set(room, text);
    setText(text);
  };
  const submit = (event?: FormEvent) => {
    event?.preventDefault();
    if (!text.trim()) return;
    send(text.trim(), (text) => {
      write(text);
      field.current?.focus();
    });
    write("");
    field.current?.focus();
  };
  const keys = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      submit();
    }
    if (event.key === "ArrowUp" && text === "") {
      event.preventDefault();
      editLast();
    }
  };

  return (
    <form className="composer" onSubmit={submit}>
      <textarea ref={field} rows={1} aria-label={`Message to ${name}`} placeholder={`Message ${name}`} value={text} onChange={(e) => write(e.target.value)} onKeyDown={keys} />
      <button className="primary" disabled={!text.trim()}>
        Send
      </button>
    </form>
  );
}
