/** Photos as visitors give them: any file → an upright bitmap, or one sentence that says what is wrong. */

import type { Facts } from "./facts";

/** More pixels than this, and the page would need more than a gigabyte for one photo. */
const MOST_PIXELS = 40_000_000;
const MOST_BYTES = 60_000_000;

export async function readPhoto(file: Blob, name: string, facts: Facts): Promise<ImageBitmap> {
  if (file.size === 0) throw new Error(`${name} is empty.`);
  if (file.size > MOST_BYTES) throw new Error(`${name} has ${(file.size / 1e6).toFixed(0)} MB; at most ${MOST_BYTES / 1e6} can be read.`);
  // colours as they stand in the file and the upright picture, as the Python package reads them
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", imageOrientation: "from-image" }).catch(() => null);
  if (bitmap === null) throw new Error(`${name} is not a photo that this browser can read. JPEG, PNG, WebP and AVIF are.`);
  const { width, height } = bitmap;
  const most = Math.min(MOST_PIXELS, facts.maxPixels);
  if (width * height <= most && Math.min(width, height) >= facts.minSide) return bitmap;
  bitmap.close();
  throw new Error(
    width * height > most
      ? `${name} has ${width} × ${height} pixels, which is too large; at most ${most / 1e6} million can be read.`
      : `${name} has ${width} × ${height} pixels, which is too small to show a face.`,
  );
}
