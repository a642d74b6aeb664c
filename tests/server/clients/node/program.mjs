// Uses a vault through Azure's clients for Node, told nothing but what `kvstack env` sets, and who signs in.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DefaultAzureCredential } from "@azure/identity";
import { CertificateClient } from "@azure/keyvault-certificates";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { SecretClient } from "@azure/keyvault-secrets";

const vault = process.env.AZURE_KEYVAULT_URL;
const authorityHost = process.env.AZURE_AUTHORITY_HOST;
const credential = new DefaultAzureCredential({ authorityHost, disableInstanceDiscovery: true });

async function names(things) {
  const found = [];
  for await (const thing of things) found.push(thing.name);
  return found;
}

async function useSecrets() {
  const secrets = new SecretClient(vault, credential);
  const first = await secrets.setSecret("node-secret", "one", { contentType: "text/plain", tags: { a: "b" } });
  await secrets.setSecret("node-secret", "two");
  assert.equal((await secrets.getSecret("node-secret")).value, "two");
  const older = await secrets.getSecret("node-secret", { version: first.properties.version });
  assert.deepEqual([older.value, older.properties.tags], ["one", { a: "b" }]);
  assert.ok((await names(secrets.listPropertiesOfSecrets())).includes("node-secret"));
  assert.equal((await names(secrets.listPropertiesOfSecretVersions("node-secret"))).length, 2);
  const backup = await secrets.backupSecret("node-secret");
  const deleting = await secrets.beginDeleteSecret("node-secret", { intervalInMs: 50 });
  assert.ok((await deleting.pollUntilDone()).deletedOn);
  await assert.rejects(secrets.getSecret("node-secret"), { statusCode: 404, code: "SecretNotFound" });
  const recovering = await secrets.beginRecoverDeletedSecret("node-secret", { intervalInMs: 50 });
  assert.equal((await recovering.pollUntilDone()).name, "node-secret");
  await (await secrets.beginDeleteSecret("node-secret", { intervalInMs: 50 })).pollUntilDone();
  await secrets.purgeDeletedSecret("node-secret");
  assert.equal((await secrets.restoreSecretBackup(backup)).name, "node-secret");
  console.log("secrets", (await secrets.getSecret("greeting")).value);
}

async function useKeys() {
  const keys = new KeyClient(vault, credential);
  const digest = createHash("sha256").update("message").digest();
  const signing = await keys.createEcKey("node-signing", { curve: "P-256" });
  const signer = new CryptographyClient(signing.id, credential);
  const { result: signature } = await signer.sign("ES256", digest);
  assert.ok((await signer.verify("ES256", digest, signature)).result);
  const changed = Uint8Array.from(signature, (byte) => byte ^ 1);
  assert.ok(!(await signer.verify("ES256", digest, changed)).result);

  const hiding = await keys.createRsaKey("node-hiding", { keySize: 2048 });
  const hider = new CryptographyClient(hiding.id, credential);
  const { result: ciphertext } = await hider.encrypt({ algorithm: "RSA-OAEP-256", plaintext: Buffer.from("text") });
  const { result: plaintext } = await hider.decrypt({ algorithm: "RSA-OAEP-256", ciphertext });
  assert.equal(Buffer.from(plaintext).toString(), "text");
  const { result: wrapped } = await hider.wrapKey("RSA-OAEP", Buffer.alloc(32, "k"));
  const { result: unwrapped } = await hider.unwrapKey("RSA-OAEP", wrapped);
  assert.deepEqual(Buffer.from(unwrapped), Buffer.alloc(32, "k"));
  const { result: signed } = await hider.sign("PS256", digest);
  assert.ok((await hider.verify("PS256", digest, signed)).result);

  const policy = await keys.updateKeyRotationPolicy("node-signing", {
    expiresIn: "P90D",
    lifetimeActions: [{ action: "Rotate", timeAfterCreate: "P30D" }],
  });
  assert.equal(policy.expiresIn, "P90D");
  assert.notEqual((await keys.rotateKey("node-signing")).properties.version, signing.properties.version);
  await (await keys.beginDeleteKey("node-signing", { intervalInMs: 50 })).pollUntilDone();
  await keys.purgeDeletedKey("node-signing");
  assert.ok(!(await names(keys.listPropertiesOfKeys())).includes("node-signing"));
  console.log("keys", hiding.keyType);
}

async function useCertificates() {
  const certificates = new CertificateClient(vault, credential);
  const policy = { issuerName: "Self", subject: "CN=node.example.com", validityInMonths: 3 };
  const creating = await certificates.beginCreateCertificate("node-certificate", policy, { intervalInMs: 50 });
  const made = await creating.pollUntilDone();
  assert.ok(made.cer.length > 100);
  assert.ok((await names(certificates.listPropertiesOfCertificates())).includes("node-certificate"));
  console.log("certificates", (await certificates.getCertificatePolicy("node-certificate")).subject);
}

await useSecrets();
await useKeys();
await useCertificates();
