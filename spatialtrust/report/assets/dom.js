// Elements, made without any markup: what comes from data is only ever text.

const byId = (id) => document.getElementById(id);

const fill = (parent, children) => {
  parent.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return parent;
};

const set = (element, attributes) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  return element;
};

const make = (name, attributes = {}, ...children) => fill(set(document.createElement(name), attributes), children);

const draw = (name, attributes = {}, ...children) =>
  fill(set(document.createElementNS("http://www.w3.org/2000/svg", name), attributes), children);

const percent = (share, digits = 1) => (share === null || share === undefined ? "not known" : `${(100 * share).toFixed(digits)} %`);

const number = (value) => Number(value).toLocaleString("en");

const say = (words) => {
  byId("live").textContent = words;
};
