/* A scale bar of a round length that fits a picture. */

export function scaleOf(metresPerPixel, width) {
  const most = Math.max(40, Math.min(160, width / 4)) * metresPerPixel;
  const power = 10 ** Math.floor(Math.log10(most));
  const metres = [5, 2, 1].map((each) => each * power).find((each) => each <= most) || power;
  return { metres: Number(metres.toPrecision(3)), pixels: metres / metresPerPixel };
}
