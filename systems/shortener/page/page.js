// The page: makes links and watches their clicks. It keeps the edit keys of the links made here in the
// browser's own storage; nobody else has them.
const $ = (id) => document.getElementById(id);
const fields = ["url", "code", "tags", "expiresAt", "maxVisits"];
const storeKey = "shortener-links";
const pollMs = 1000;

/** Links made in this browser, newest first: { code, shortUrl, url, editKey, disabled }. */
let mine = readMine();
let shown;
let timer;
let attempt;

$("make").addEventListener("submit", (event) => {
  event.preventDefault();
  void make();
});
$("copy").addEventListener("click", () => void copy());
$("disable").addEventListener("click", () => void disable());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && shown) void poll(shown);
});
listMine();
void listHosts();
if (mine[0]) show(mine[0], false);

async function make() {
  clearErrors();
  const wish = wanted();
  if (wish.url === "") return refuse("url", "Type or paste the address that is to be shortened.");
  // The same wish keeps its key: pressing the button again after a lost answer makes one link, not two.
  const text = JSON.stringify(wish);
  if (attempt?.text !== text) attempt = { text, key: randomKey() };
  $("submit").disabled = true;
  try {
    const answer = await fetch("/links", {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": attempt.key },
      body: text,
    });
    const made = await answer.json();
    if (!answer.ok) {
      // A definite no: whatever is sent next is another request.
      if (answer.status < 500) attempt = undefined;
      return refuse(made.error?.field, made.error?.message ?? "That did not work.");
    }
    attempt = undefined;
    const { code, shortUrl, url, editKey } = made;
    mine = [
      { code, shortUrl, url, editKey, disabled: false },
      ...mine.filter((link) => link.code !== code),
    ].slice(0, 50);
    writeMine();
    $("make").reset();
    $("more").open = false;
    listMine();
    show(mine[0], true);
    // Counted on another shard, a moment later.
    setTimeout(() => void listHosts(), pollMs);
    say(`Made ${shortUrl}`);
  } catch {
    refuse(undefined, "The shortener cannot be reached. Press Shorten again; it will not be made twice.");
  } finally {
    $("submit").disabled = false;
  }
}

function wanted() {
  const value = (id) => $(id).value.trim();
  const wish = { url: value("url") };
  if (wish.url !== "" && !/^[a-z][a-z0-9+.-]*:/i.test(wish.url)) wish.url = `https://${wish.url}`;
  if (value("code")) wish.code = value("code");
  if (value("tags"))
    wish.tags = value("tags")
      .split(",")
      .map((tag) => tag.trim())
      .filter(Boolean);
  if (value("expiresAt")) wish.expiresAt = new Date(value("expiresAt")).toISOString();
  if (value("maxVisits")) wish.maxVisits = Number(value("maxVisits"));
  if ($("permanent").checked) wish.status = 301;
  return wish;
}

function refuse(field, message) {
  const name = fields.find((known) => field === known || field?.startsWith(`${known}.`));
  const error = name ? $(`${name}-error`) : $("form-error");
  error.textContent = message;
  error.hidden = false;
  if (!name) return;
  if (name !== "url") $("more").open = true;
  $(name).setAttribute("aria-invalid", "true");
  $(name).focus();
}

function clearErrors() {
  for (const name of [...fields, "form"]) {
    $(`${name}-error`).hidden = true;
    if (name !== "form") $(name).removeAttribute("aria-invalid");
  }
}

function show(link, focus) {
  shown = link;
  $("short").href = link.shortUrl;
  $("short").textContent = link.shortUrl.replace(/^https?:\/\//, "");
  $("target").textContent = link.url;
  $("qr").src = `/links/${link.code}/qr.svg`;
  $("disable").disabled = link.disabled;
  $("disable").textContent = link.disabled ? "Disabled" : "Disable";
  $("total").textContent = "0";
  $("bots").textContent = "";
  for (const id of ["per-day", "per-referrer", "per-device"]) $(id).replaceChildren();
  $("link").hidden = false;
  if (focus) $("link").focus();
  listMine();
  void poll(link);
}

async function poll(link) {
  clearTimeout(timer);
  let away = false;
  try {
    const answer = await fetch(`/links/${link.code}/stats`);
    if (link !== shown) return;
    away = !answer.ok;
    if (answer.ok) showStats(await answer.json());
  } catch {
    away = true;
  }
  if (link !== shown) return;
  $("pulse").classList.toggle("away", away);
  $("pulse-text").textContent = away ? "trying again" : "live";
  if (!document.hidden) timer = setTimeout(() => void poll(link), away ? pollMs * 3 : pollMs);
}

function showStats(stats) {
  const before = $("total").textContent;
  const now = stats.total.toLocaleString();
  $("total").textContent = now;
  if (before !== now && before !== "0") say(`${now} clicks`);
  $("bots").textContent = stats.bots > 0 ? `and ${stats.bots.toLocaleString()} by bots, not counted` : "";
  const devices = { desktop: "Desktop", mobile: "Phone", tablet: "Tablet", other: "Other" };
  rows(
    "per-day",
    stats.perDay
      .slice(-7)
      .reverse()
      .map((row) => [row.day, row.clicks]),
  );
  rows(
    "per-referrer",
    stats.perReferrer.slice(0, 7).map((row) => [row.referrer || "(not given)", row.clicks]),
  );
  rows(
    "per-device",
    Object.entries(devices)
      .map(([device, name]) => [name, stats.perDevice[device]])
      .filter(([, clicks]) => clicks > 0),
  );
}

function rows(id, list) {
  const most = Math.max(1, ...list.map(([, clicks]) => clicks));
  const made = list.map(([name, clicks]) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    const bar = document.createElement("span");
    bar.className = "bar";
    bar.style.width = `${(100 * clicks) / most}%`;
    head.append(bar, name);
    const cell = document.createElement("td");
    cell.textContent = clicks.toLocaleString();
    row.append(head, cell);
    return row;
  });
  if (made.length === 0) {
    const row = document.createElement("tr");
    const cell = document.createElement("th");
    cell.className = "hint";
    cell.textContent = "No clicks yet";
    row.append(cell);
    made.push(row);
  }
  $(id).replaceChildren(...made);
}

async function copy() {
  try {
    await navigator.clipboard.writeText(shown.shortUrl);
    $("copy").textContent = "Copied";
    say("Copied");
    setTimeout(() => {
      $("copy").textContent = "Copy";
    }, 1500);
  } catch {
    // No clipboard here (an address without https): select the text instead.
    const range = document.createRange();
    range.selectNodeContents($("short"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    say("Selected. Press Ctrl or Cmd and C to copy.");
  }
}

async function disable() {
  const link = shown;
  if (!confirm(`Disable ${link.shortUrl}? It will stop working for everyone.`)) return;
  const answer = await fetch(`/links/${link.code}`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${link.editKey}` },
  }).catch(() => undefined);
  if (!answer?.ok) return say("It could not be disabled. Try again.");
  link.disabled = true;
  writeMine();
  if (link === shown) show(link, false);
  say("Disabled");
}

function listMine() {
  $("mine").hidden = mine.length < 2;
  $("mine-list").replaceChildren(
    ...mine.map((link) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      const code = document.createElement("strong");
      code.textContent = `/${link.code}${link.disabled ? " (disabled)" : ""}`;
      const url = document.createElement("span");
      url.textContent = link.url;
      button.type = "button";
      button.setAttribute("aria-current", String(link === shown));
      button.append(code, url);
      button.addEventListener("click", () => show(link, true));
      item.append(button);
      return item;
    }),
  );
}

async function listHosts() {
  const answer = await fetch("/stats/hosts").catch(() => undefined);
  if (!answer?.ok) return; // an extra: the page does without
  const { hosts } = await answer.json();
  $("hosts").hidden = hosts.length === 0;
  rows(
    "per-host",
    hosts.map(({ host, links }) => [host, links]),
  );
}

function say(text) {
  $("say").textContent = text;
}

function readMine() {
  try {
    const stored = JSON.parse(localStorage.getItem(storeKey) ?? "[]");
    return Array.isArray(stored) ? stored.filter((link) => typeof link?.code === "string") : [];
  } catch {
    return [];
  }
}

function writeMine() {
  try {
    localStorage.setItem(storeKey, JSON.stringify(mine));
  } catch {
    // Storage is off or full: the links work, this browser will not remember them.
  }
}

function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(18));
  return btoa(String.fromCharCode(...bytes)).replace(/[+/]/g, "-");
}
