// What the page holds: the head at once, blocks of images when they are looked at.

const text = (id) => {
  const found = document.getElementById(id);
  return found === null ? null : found.textContent;
};

const bytes = (packed) => {
  const raw = atob(packed);
  const found = new Uint8Array(raw.length);
  for (let place = 0; place < raw.length; place += 1) found[place] = raw.charCodeAt(place);
  return found;
};

const wide = (packed) => {
  const raw = bytes(packed);
  const found = new Uint16Array(raw.length / 2);
  for (let place = 0; place < found.length; place += 1) found[place] = raw[2 * place] | (raw[2 * place + 1] << 8);
  return found;
};

const head = JSON.parse(text("data-head"));
document.getElementById("data-head").remove();
const reporting = head.kind === "report";
const images = head.images;
const edgeCount = head.edges.count;
const UNKNOWN = 65535;
const SCALE = 10000;
const NO_LABEL = 2;
const edges = reporting
  ? {
      relation: bytes(head.edges.relation),
      kind: bytes(head.edges.kind),
      label: bytes(head.edges.label),
      reasons: wide(head.edges.reasons),
      p: wide(head.edges.p),
    }
  : null;
head.edges = null;

const imageCount = images.id.length;
const firstEdge = (image) => images.first[image];
const endEdge = (image) => (image + 1 < imageCount ? images.first[image + 1] : edgeCount);

const imageOf = (edge) => {
  let low = 0;
  let high = imageCount - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (images.first[middle] <= edge) low = middle;
    else high = middle - 1;
  }
  return low;
};

const KEPT_BLOCKS = 6;
const blocks = new Map();

const block = (number) => {
  if (!blocks.has(number)) {
    const stream = new Blob([bytes(text(`data-block-${number}`))]).stream().pipeThrough(new DecompressionStream("gzip"));
    blocks.set(number, new Response(stream).text().then(JSON.parse));
    if (blocks.size > KEPT_BLOCKS) blocks.delete(blocks.keys().next().value);
  }
  return blocks.get(number);
};

// Objects and edges of one image; null where it has no graph.
const contentOf = async (image) => (await block(Math.floor(image / head.block)))[image % head.block];

const claimId = (content, image, place) => {
  const id = content.edges.id[place];
  return Array.isArray(id) ? images.id[image] + id[0] : id;
};

const sourceOf = (image) => {
  const held = text(`data-image-${image}`);
  return held === null ? images.src[image] : `data:image/jpeg;base64,${held}`;
};
