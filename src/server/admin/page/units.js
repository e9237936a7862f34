// How numbers are written: short, and always as wide as their neighbours.

const THOUSANDS = ["", " k", " M", " G", " T"];
const KIBI = ["B", "KiB", "MiB", "GiB", "TiB"];

function scaled(n, step, names) {
  let place = 0;
  let left = Math.abs(n);
  while (left >= step && place < names.length - 1) {
    left /= step;
    place += 1;
  }
  const digits = place === 0 && Number.isInteger(n) ? 0 : left < 10 ? 1 : 0;
  return [`${n < 0 ? "−" : ""}${left.toFixed(digits)}`, names[place]];
}

export function number(n) {
  if (unknown(n)) return "–";
  const [digits, name] = scaled(n, 1000, THOUSANDS);
  return digits.replace(/^0\.0$/, "0") + name;
}

export function whole(n) {
  return n === null || n === undefined ? "–" : n.toLocaleString("en");
}

export function bytes(n) {
  if (unknown(n)) return "–";
  const [digits, name] = scaled(n < 1024 ? Math.round(n) : n, 1024, KIBI);
  return `${digits} ${name}`;
}

const unknown = (n) => n === null || n === undefined || Number.isNaN(n);

export const rate = (n) => (unknown(n) ? "–" : `${number(n)}/s`);
export const byteRate = (n) => (unknown(n) ? "–" : `${bytes(n)}/s`);
export const percent = (share) =>
  share === null || share === undefined ? "–" : `${(share * 100).toFixed(share < 0.0995 && share > 0 ? 1 : 0)}%`;

// Microseconds, in a unit that fits.
export function took(us) {
  if (us === null || us === undefined) return "–";
  if (us < 1000) return `${Math.round(us)} µs`;
  const ms = us / 1000;
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}

// Seconds, as people say them.
export function lasting(s) {
  if (s === null || s === undefined) return "–";
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172_800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86_400)} d`;
}

// A moment of today as the clock on the wall has it; of another day with its date.
export function clock(moment) {
  const at = new Date(moment);
  const time = at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (at.toDateString() === new Date().toDateString()) return time;
  return `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}
