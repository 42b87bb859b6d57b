// Compressed files beside the built ones.
import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, readdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";

const worthIt = /\.(wasm|js|mjs|css|html|svg|json|txt|map|webmanifest)$/;
const least = 512; // bytes

const compress = promisify(brotliCompress);

/** Writes a .br beside each file of a folder that gets smaller. cache holds what was compressed before. */
export async function compressFolder(folder, { quality, cache }) {
  await mkdir(cache, { recursive: true });
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  await Promise.all(
    files
      .filter((f) => f.isFile() && worthIt.test(f.name))
      .map(async (f) => {
        const file = join(f.parentPath, f.name);
        const bytes = await readFile(file);
        if (bytes.length < least) return;
        const kept = join(cache, `${createHash("sha256").update(bytes).digest("hex")}.${quality}.br`);
        const packed = (await readFile(kept).catch(() => undefined)) ?? (await pack(bytes, quality, kept));
        if (packed.length < bytes.length) await copyFile(kept, `${file}.br`);
      }),
  );
}

async function pack(bytes, quality, kept) {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: quality,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  const packed = await compress(bytes, { params });
  await writeFile(`${kept}.${process.pid}`, packed);
  await rename(`${kept}.${process.pid}`, kept);
  return packed;
}
