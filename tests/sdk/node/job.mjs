// Reads the jobs of one client from the standard input, runs them one after the other, and prints a JSON line for each.
import { text } from "node:stream/consumers";

export const HELLO = "hello there";
export const LOOK = "look at this";
export const ASK = "weather in parallel";
export const DEGREES = ["20 degrees", "21 degrees"];
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};
export const ABOUT = "the weather in a city";
export const LIMIT_MS = 30_000;

export async function serve(clients) {
  const { key, jobs } = JSON.parse(await text(process.stdin));
  for (const job of jobs) {
    let answer;
    try {
      answer = await clients[job.client](job.case, job.model, job.base, key);
    } catch (error) {
      const name = error.constructor.name === "Error" || error.name.startsWith("AI_") ? error.name : error.constructor.name;
      const message = String(error.message).slice(0, 300);
      answer = { error: { class: name, names: [name], status: error.status ?? error.statusCode, message } };
    }
    console.log(JSON.stringify({ ...job, answer }));
  }
}
