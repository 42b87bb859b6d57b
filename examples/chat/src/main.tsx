import { AnkurahProvider } from "@ankurah/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { SignIn } from "./SignIn";
import { connect } from "./ankurah";
import { Trouble } from "./Trouble";
import * as models from "./models.gen";
import { NoticeProvider } from "./notices";
import { signedIn, verify } from "./session";
import "./styles.css";

const root = createRoot(document.getElementById("root")!);
const user = signedIn();

if (user) {
  const client = connect(user);
  void verify(user);
  // For the browser's console: await chat.client.fetch(chat.Room)
  Object.assign(globalThis, { chat: { client, user, ...models } });
  root.render(
    <StrictMode>
      <Trouble>
        <AnkurahProvider client={client}>
          <NoticeProvider>
            <App user={user} />
          </NoticeProvider>
        </AnkurahProvider>
      </Trouble>
    </StrictMode>,
  );
} else {
  root.render(
    <StrictMode>
      <SignIn />
    </StrictMode>,
  );
}
