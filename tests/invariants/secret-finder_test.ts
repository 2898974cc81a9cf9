/** A secret is found in each form that software puts it into, and in part. */
import assert from "node:assert/strict";
import { SecretFinder } from "./secrets.ts";

Deno.test("the search finds a secret in each form, and in part", () => {
  const canaries = new SecretFinder();
  const secret = canaries.plant("it");
  const forms = [
    secret,
    secret.slice(3, 20),
    btoa(secret),
    btoa(`a${secret}`),
    btoa(`ab${secret}`),
    encodeURIComponent(`/${secret}`),
    JSON.stringify({ a: JSON.stringify({ secret }) }),
  ];
  for (const form of forms) assert.equal(canaries.findIn(`before ${form} after`).length, 1, form);
  assert.deepEqual(canaries.findIn(`before ${secret.slice(0, 8)} after`), []);
});

Deno.test("of a JWT the signature is secret, and a short text is not", () => {
  const secrets = new SecretFinder();
  const [header, payload, signature] = [
    "eyJhbGciOiJFUzI1NiJ9",
    "eyJzdWIiOiJ1c2VyLTEifQ",
    "s1gn4turEs1g",
  ];
  secrets.add("a token", `${header}.${payload}.${signature}`);
  secrets.add("too short", "elevenchars");
  assert.deepEqual(secrets.findIn(`${header}.${payload} elevenchars`), []);
  assert.equal(secrets.findIn(`${payload}.${signature}`).length, 1);
  assert.throws(() => secrets.assertAbsent(signature, "this text"), /this text contains a secret/);
});
