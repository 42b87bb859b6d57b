import { memo, useEffect, useRef, useState } from "react";
import type { KeyboardEvent } from "react";
import { Avatar, useName } from "./Person";
import { Message } from "./models.gen";
import { useChange, useTell } from "./notices";

interface Props {
  message: Message;
  /** It stands right below another one of the same author. */
  follows: boolean;
  /** The day that begins with it. */
  day: Date | undefined;
  own: boolean;
  editing: boolean;
  setEditing: (id?: string) => void;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const MessageItem = memo(function MessageItem({ message, follows, day, own, editing, setEditing }: Props) {
  const change = useChange();
  const tell = useTell();
  const name = useName(message.author);
  const [open, setOpen] = useState(false); // where nothing can hover, a tap shows what can be done

  const save = (text: string) => {
    setEditing();
    if (text === message.text) return;
    change((tx) => tx.edit(Message, message, { text, edited: new Date() }), "Your edit was taken back.");
  };
  const remove = () => {
    change((tx) => tx.delete(Message, message), "The message was not deleted.");
    const undo = () => change((tx) => tx.restore(Message, message), "The message was not brought back.");
    tell({ text: "Message deleted.", action: { label: "Undo", run: undo }, lasts: 8000 });
  };

  return (
    <>
      {day && (
        <li className="day">
          <span>{date.format(day)}</span>
        </li>
      )}
      <li className={`message${follows ? " follows" : ""}${own ? " own" : ""}${open ? " open" : ""}`} onClick={() => setOpen(!open)}>
        {follows ? <span className="gutter" /> : <Avatar id={message.author} name={name} />}
        <div className="body">
          <div className={follows ? "head hidden" : "head"}>
            <strong>{name}</strong>
            <time dateTime={message.sent.toISOString()} title={exactly.format(message.sent)}>
              {clock.format(message.sent)}
            </time>
          </div>
          {editing ? (
            <Editor text={message.text} save={save} cancel={() => setEditing()} />
          ) : (
            <p className="text">
              {message.text}
              {message.edited && (
                <span className="edited" title={exactly.format(message.edited)}>
                  {" "}
                  (edited)
                </span>
              )}
            </p>
          )}
        </div>
        {own && !editing && (
          <div className="actions">
            <button className="quiet" onClick={() => setEditing(message.id)}>
              Edit
            </button>
            <button className="quiet" onClick={remove}>
              Delete
            </button>
          </div>
        )}
      </li>
    </>
  );
});

function Editor({ text, save, cancel }: { text: string; save: (text: string) => void; cancel: () => void }) {
  const [value, setValue] = useState(text);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(text.length, text.length);
  }, [text]);
  const keys = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Escape") cancel();
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      if (value.trim()) save(value.trim());
    }
  };
  return (
    <form
      className="editor"
      onSubmit={(event) => {
        event.preventDefault();
        save(value.trim());
      }}
    >
      <textarea ref={field} aria-label="Edit the message" rows={1} value={value} onChange={(e) => setValue(e.target.value)} onKeyDown={keys} />
      <button className="primary" disabled={!value.trim()}>
        Save
      </button>
      <button type="button" className="quiet" onClick={cancel}>
        Cancel
      </button>
    </form>
  );
}
