/* How numbers, moments and statuses are written, always with their units. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export const count = (value) => (value === null || value === undefined ? '–' : whole.format(value));

export function number(value, digits = 2) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '–';
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

export function seconds(value) {
  if (value === null || value === undefined) return '–';
  const total = Math.max(0, value);
  if (total < 60) return `${total < 10 && total % 1 ? total.toFixed(1) : Math.round(total)} s`;
  const whole_s = Math.round(total);
  const hours = Math.floor(whole_s / 3600);
  const minutes = Math.floor((whole_s % 3600) / 60);
  const rest = whole_s % 60;
  return [hours && `${hours} h`, (hours || minutes) && `${minutes} min`, !hours && rest && `${rest} s`].filter(Boolean).join(' ');
}

/** A moment of sim_time as 03:32.4 (1:03:32.4 from an hour on). */
export function moment(value) {
  const tenths = Math.max(0, Math.round((value || 0) * 10));
  const h = Math.floor(tenths / 36000);
  const m = Math.floor((tenths % 36000) / 600);
  const s = (tenths % 600) / 10;
  const text = `${String(m).padStart(2, '0')}:${s.toFixed(1).padStart(4, '0')}`;
  return h ? `${h}:${text}` : text;
}

export function metres(value) {
  if (typeof value !== 'number') return '–';
  return value >= 1000 ? `${(value / 1000).toFixed(value >= 10000 ? 1 : 2)} km` : `${value >= 100 ? Math.round(value) : value.toFixed(1)} m`;
}

export const percent = (value) => (typeof value === 'number' ? `${Math.round(value * 100)} %` : '–');

export function bytes(value) {
  if (value < 1000) return `${value} B`;
  const unit = ['kB', 'MB', 'GB', 'TB'];
  let size = value;
  let index = -1;
  while (size >= 1000 && index < 3) { size /= 1000; index += 1; }
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit[index]}`;
}

const dayTime = new Intl.DateTimeFormat(undefined, { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', hour12: false });
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hour12: false });

/** An instant in the viewer's zone: the time today, the date and time on other days. */
export function instant(text, full = false) {
  const date = new Date(text);
  if (!text || Number.isNaN(date.getTime())) return '–';
  const today = new Date().toDateString() === date.toDateString();
  return today && !full ? `today ${clock.format(date)}` : isoLike(date);
}

function isoLike(date) {
  const part = Object.fromEntries(dayTime.formatToParts(date).map((each) => [each.type, each.value]));
  return `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}`;
}

export const STATUSES = ['running', 'paused', 'created', 'completed', 'stopped', 'failed', 'interrupted'];
export const live = (status) => status === 'running' || status === 'paused';

export function plain(value) {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'number') return number(value, 3);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
