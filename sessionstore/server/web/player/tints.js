/* One colour for each drone, the same in the player, the tables and the charts; told apart in light and dark. */

const LIGHT = ['#0a5cb8', '#b3470b', '#147a4b', '#8a3fa0', '#a67600', '#00788a', '#b02a55', '#5a5f1f', '#4a4fc4', '#7a4a2b'];
const DARK = ['#6db3ff', '#ff9d5c', '#5fd39a', '#d79bf0', '#ecc04d', '#55cfe0', '#ff8fb0', '#c3c96a', '#a7abff', '#d0a284'];

export function dark() {
  return getComputedStyle(document.documentElement).colorScheme === 'dark'
    || (!document.documentElement.dataset.theme && matchMedia('(prefers-color-scheme: dark)').matches);
}

export function tint(index) {
  const list = dark() ? DARK : LIGHT;
  return list[index % list.length];
}

export function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
}
