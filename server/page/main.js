// The composition root of the page: who is built with what, and in which order.

import { App } from "./app.js";
import { language } from "./language.js";
import { showGate } from "./views/gate.js";
import { openInviteLink } from "./views/links.js";
import { buildShell } from "./views/shell.js";

document.documentElement.lang = language;
const app = new App();
const root = document.getElementById("root") ?? document.body;

app.onSignedOut = () => showGate(root, app);
app.onSignedIn = () => buildShell(root, app);
app.onInviteLink = (secret) => openInviteLink(app, secret);
app.begin();
