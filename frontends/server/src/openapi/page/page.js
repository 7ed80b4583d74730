// Shows the OpenAPI document that the gateway serves. Everything is put in as text: nothing of the document is markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const DEPTH_MAX = 6;

/** An element with attributes and children; texts stay texts. */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  for (const child of children.flat()) if (child !== null && child !== undefined) element.append(child);
  return element;
}

function resolve(api, schema) {
  const path = schema && schema.$ref;
  if (!path) return [schema, null];
  const found = path.slice(2).split("/").reduce((at, part) => at && at[part], api);
  return [found, path.split("/").pop()];
}

function typeOf(api, schema) {
  const [whole, name] = resolve(api, schema);
  if (!whole) return "anything";
  if (whole.anyOf) return whole.anyOf.map((one) => typeOf(api, one)).join(" or ");
  if (whole.enum) return whole.enum.filter((one) => one !== null).map((one) => JSON.stringify(one)).join(" | ");
  const types = [].concat(whole.type || "anything");
  if (types.includes("array") && whole.items) return "list of " + typeOf(api, whole.items);
  return name && types.includes("object") ? name : types.join(" or ");
}

/** The fields of a schema, those of what it names inside. */
function fields(api, schema, depth, seen) {
  const [whole, name] = resolve(api, schema);
  if (!whole || depth > DEPTH_MAX || (name && seen.includes(name))) return null;
  const inside = name ? seen.concat(name) : seen;
  if (whole.items) return fields(api, whole.items, depth, inside);
  if (whole.anyOf) return whole.anyOf.map((one) => fields(api, one, depth, inside)).find((list) => list) || null;
  const names = Object.keys(whole.properties || {});
  if (names.length === 0) return null;
  const required = whole.required || [];
  return make("ul", {}, names.map((field) => {
    const of = whole.properties[field];
    const [meant] = resolve(api, of);
    const about = of.description || (meant && meant.description);
    return make("li", {},
      make("code", {}, field), required.includes(field) ? " (always)" : "", " ",
      make("span", { class: "quiet" }, typeOf(api, of)), about ? " — " + about : "",
      fields(api, of, depth + 1, inside));
  }));
}

function content(body) {
  const kinds = (body && body.content) || {};
  return kinds["application/json"] ? kinds["application/json"].schema : null;
}

/** A value that fits a schema, for an example. */
function example(api, schema, depth) {
  const [whole] = resolve(api, schema);
  if (!whole || depth > 3) return null;
  if (whole.anyOf) return example(api, whole.anyOf[0], depth);
  if (whole.enum) return whole.enum[0];
  switch ([].concat(whole.type)[0]) {
    case "string": return "…";
    case "integer": case "number": return 0;
    case "boolean": return false;
    case "array": return [];
    case "object": {
      const wanted = (whole.required || []).filter((name) => whole.properties && whole.properties[name]);
      return Object.fromEntries(wanted.map((name) => [name, example(api, whole.properties[name], depth + 1)]));
    }
    default: return null;
  }
}

function curl(api, method, path, operation) {
  const lines = [`curl "$URL${path}" -H "authorization: Bearer $KEY"`];
  if (method !== "get") lines[0] = lines[0].replace("curl ", `curl -X ${method.toUpperCase()} `);
  const body = content(operation.requestBody);
  if (body) lines.push(`  -d '${JSON.stringify(example(api, body, 0) || {})}'`);
  return lines.join(" \\\n");
}

function operationView(api, path, method, operation) {
  const inside = make("div", { class: "inside" });
  const view = make("details", { class: "operation", id: operation.operationId },
    make("summary", {}, make("span", { class: "method" }, method.toUpperCase()), make("code", {}, path), " ",
      make("span", { class: "quiet" }, operation.summary || "")), inside);
  // The fields of a document like this are many: they are made when somebody looks.
  view.addEventListener("toggle", () => {
    if (!view.open || inside.childNodes.length > 0) return;
    history.replaceState(null, "", "#" + operation.operationId);
    if ((operation.parameters || []).length > 0) {
      inside.append(make("h3", {}, "Parameters"), make("table", {}, operation.parameters.map((one) =>
        make("tr", {}, make("td", {}, make("code", {}, one.name), one.required ? " (always)" : "", " ",
          make("span", { class: "quiet" }, one.in)), make("td", {}, one.description || "")))));
    }
    const body = content(operation.requestBody);
    if (body) inside.append(make("h3", {}, "Body: " + typeOf(api, body)), fields(api, body, 0, []) || "");
    // Refusals all look alike: they are said once.
    const [done, refused] = [[], []];
    for (const [status, answer] of Object.entries(operation.responses || {})) {
      (answer.$ref ? refused : done).push([status, resolve(api, answer)[0]]);
    }
    for (const [status, whole] of done) {
      const schema = content(whole);
      const kind = schema ? ": " + typeOf(api, schema) : "";
      inside.append(make("h3", {}, status + kind), make("p", { class: "quiet" }, whole.description || ""));
      if (schema) inside.append(fields(api, schema, 0, []) || "");
    }
    if (refused.length > 0) {
      inside.append(make("h3", {}, refused.map(([status]) => status).join(", ")),
        make("p", { class: "quiet" }, refused[0][1].description || ""));
    }
    inside.append(make("h3", {}, "Example"), make("pre", {}, curl(api, method, path, operation)));
  });
  return view;
}

function show(api) {
  document.getElementById("version").textContent = api.info.version;
  document.getElementById("about").textContent = api.info.description;
  const parts = new Map();
  const views = [];
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((one) => methods[one])) {
      const operation = methods[method];
      const tag = (operation.tags || ["other"])[0];
      if (!parts.has(tag)) parts.set(tag, make("section", { id: "part-" + tag }, make("h2", {}, tag)));
      const view = operationView(api, path, method, operation);
      parts.get(tag).append(view);
      views.push([view, [path, method, operation.operationId, operation.summary].join(" ").toLowerCase()]);
    }
  }
  const names = [...parts.keys()].sort();
  document.getElementById("tags").replaceChildren(...names.map((tag) => make("a", { href: "#part-" + tag }, tag)));
  document.getElementById("operations").replaceChildren(...names.map((tag) => parts.get(tag)));
  document.getElementById("search").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const [view, text] of views) view.hidden = !words.every((word) => text.includes(word));
    for (const part of parts.values()) {
      part.hidden = ![...part.querySelectorAll("details.operation")].some((view) => !view.hidden);
    }
  });
  const open = () => {
    const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (named && named.tagName === "DETAILS") { named.open = true; named.scrollIntoView(); }
  };
  addEventListener("hashchange", open);
  open();
}

fetch("/api/v1/openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error("status " + answer.status))))
  .then(show)
  .catch((error) => {
    document.getElementById("operations").textContent = "The document can't be read (" + error.message + "); reload the page.";
  });
