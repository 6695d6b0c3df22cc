import { crc32, deflateSync } from "node:zlib";
import type { Browser } from "playwright-core";

const SIGNATURE = Buffer.from("89504e470d0a1a0a", "hex");
const MAX_COLOURS = 256;
/** Colours that differ by less are one; what smooths the edges of letters has hundreds of them. */
const SHADE_BITS = 4;

/** The same picture with at most 256 colours: a third of the bytes, and nobody sees it. @param browser decodes it */
export async function smallPng(browser: Browser, png: Buffer): Promise<Buffer> {
  const page = await browser.newPage();
  try {
    const { width, height, base64 } = await page.evaluate(async (text) => {
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      // biome-ignore lint/suspicious/noExplicitAny: this runs in the browser, whose types are not those of the tests
      const web = globalThis as any;
      const bitmap = await web.createImageBitmap(new Blob([bytes]));
      const context = new web.OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
      context.drawImage(bitmap, 0, 0);
      const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
      let out = "";
      for (let at = 0; at < data.length; at += 32_768) out += String.fromCharCode(...data.subarray(at, at + 32_768));
      return { width: bitmap.width as number, height: bitmap.height as number, base64: btoa(out) };
    }, png.toString("base64"));
    return encode(Buffer.from(base64, "base64"), width, height);
  } finally {
    await page.close();
  }
}

function encode(rgba: Buffer, width: number, height: number): Buffer {
  const counts = new Map<number, number>();
  for (let at = 0; at < rgba.length; at += 4) {
    const colour = rgba.readUIntBE(at, 3);
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const palette: number[] = [];
  const taken = new Set<number>();
  // The frequent ones exactly; of the others one of each shade.
  for (const [colour] of [...counts].sort(([, a], [, b]) => b - a)) {
    const shade = shadeOf(colour);
    if (palette.length >= 48 && taken.has(shade)) continue;
    taken.add(shade);
    palette.push(colour);
    if (palette.length === MAX_COLOURS) break;
  }
  const indexes = new Map<number, number>();
  const rows = Buffer.alloc((width + 1) * height); // each begins with 0: no filter
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const colour = rgba.readUIntBE(4 * (y * width + x), 3);
      let index = indexes.get(colour);
      if (index === undefined) {
        index = nearest(palette, colour);
        indexes.set(colour, index);
      }
      rows[y * (width + 1) + 1 + x] = index;
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8); // 8 bits a pixel, a palette
  const colours = Buffer.alloc(3 * palette.length);
  for (const [i, colour] of palette.entries()) colours.writeUIntBE(colour, 3 * i, 3);
  const data = deflateSync(rows, { level: 9 });
  return Buffer.concat([SIGNATURE, chunk("IHDR", head), chunk("PLTE", colours), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

function shadeOf(colour: number): number {
  const cut = 8 - SHADE_BITS;
  return ((colour >> (16 + cut)) << (2 * SHADE_BITS)) | (((colour >> (8 + cut)) & 15) << SHADE_BITS) | ((colour & 255) >> cut);
}

function nearest(palette: readonly number[], colour: number): number {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  palette.forEach((other, i) => {
    const distance =
      ((other >> 16) - (colour >> 16)) ** 2 + (((other >> 8) & 255) - ((colour >> 8) & 255)) ** 2 + ((other & 255) - (colour & 255)) ** 2;
    if (distance >= least) return;
    least = distance;
    best = i;
  });
  return best;
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, sum]);
}
