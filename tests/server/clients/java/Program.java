// Uses a vault through Azure's clients for Java, told nothing but what `kvstack env` sets, and who signs in.

import com.azure.core.exception.ResourceNotFoundException;
import com.azure.identity.DefaultAzureCredentialBuilder;
import com.azure.security.keyvault.keys.KeyClientBuilder;
import com.azure.security.keyvault.keys.cryptography.CryptographyClient;
import com.azure.security.keyvault.keys.cryptography.CryptographyClientBuilder;
import com.azure.security.keyvault.keys.cryptography.models.EncryptionAlgorithm;
import com.azure.security.keyvault.keys.cryptography.models.KeyWrapAlgorithm;
import com.azure.security.keyvault.keys.cryptography.models.SignatureAlgorithm;
import com.azure.security.keyvault.keys.models.CreateRsaKeyOptions;
import com.azure.security.keyvault.keys.models.KeyRotationPolicy;
import com.azure.security.keyvault.secrets.SecretClientBuilder;
import com.azure.security.keyvault.secrets.models.KeyVaultSecret;
import com.azure.security.keyvault.secrets.models.SecretProperties;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;

public class Program {
    private static final String VAULT = System.getenv("AZURE_KEYVAULT_URL");
    private static final Duration SOON = Duration.ofMillis(50);

    public static void main(String[] arguments) throws Exception {
        var credential = new DefaultAzureCredentialBuilder().disableInstanceDiscovery().build();
        var secrets = new SecretClientBuilder().vaultUrl(VAULT).credential(credential).buildClient();
        var first = secrets.setSecret(new KeyVaultSecret("java-secret", "one")
            .setProperties(new SecretProperties().setContentType("text/plain").setTags(Map.of("a", "b"))));
        secrets.setSecret("java-secret", "two");
        check(secrets.getSecret("java-secret").getValue().equals("two"), "the newest version");
        var older = secrets.getSecret("java-secret", first.getProperties().getVersion());
        check(older.getValue().equals("one"), "an older version");
        check(older.getProperties().getTags().equals(Map.of("a", "b")), "its tags");
        check(secrets.listPropertiesOfSecrets().stream().anyMatch(one -> one.getName().equals("java-secret")), "the list");
        check(secrets.listPropertiesOfSecretVersions("java-secret").stream().count() == 2, "two versions");
        var backup = secrets.backupSecret("java-secret");
        secrets.beginDeleteSecret("java-secret").setPollInterval(SOON).waitForCompletion();
        try {
            secrets.getSecret("java-secret");
            throw new AssertionError("a deleted secret is read");
        } catch (ResourceNotFoundException refusal) {
            check(refusal.getMessage().contains("SecretNotFound"), "Azure's code");
        }
        secrets.beginRecoverDeletedSecret("java-secret").setPollInterval(SOON).waitForCompletion();
        secrets.beginDeleteSecret("java-secret").setPollInterval(SOON).waitForCompletion();
        secrets.purgeDeletedSecret("java-secret");
        check(secrets.restoreSecretBackup(backup).getName().equals("java-secret"), "the backup");
        System.out.println("secrets " + secrets.getSecret("greeting").getValue());

        var keys = new KeyClientBuilder().vaultUrl(VAULT).credential(credential).buildClient();
        var key = keys.createRsaKey(new CreateRsaKeyOptions("java-key").setKeySize(2048));
        CryptographyClient used = new CryptographyClientBuilder()
            .keyIdentifier(key.getId()).credential(credential).buildClient();
        byte[] digest = MessageDigest.getInstance("SHA-256").digest("message".getBytes());
        byte[] signature = used.sign(SignatureAlgorithm.PS256, digest).getSignature();
        check(used.verify(SignatureAlgorithm.PS256, digest, signature).isValid(), "the signature is right");
        signature[0] ^= 1;
        check(!used.verify(SignatureAlgorithm.PS256, digest, signature).isValid(), "another one is not");
        byte[] hidden = used.encrypt(EncryptionAlgorithm.RSA_OAEP_256, "text".getBytes()).getCipherText();
        byte[] shown = used.decrypt(EncryptionAlgorithm.RSA_OAEP_256, hidden).getPlainText();
        check(new String(shown).equals("text"), "what was encrypted is decrypted");
        byte[] secret = new byte[32];
        byte[] wrapped = used.wrapKey(KeyWrapAlgorithm.RSA_OAEP, secret).getEncryptedKey();
        check(Arrays.equals(used.unwrapKey(KeyWrapAlgorithm.RSA_OAEP, wrapped).getKey(), secret), "it is unwrapped");
        var policy = keys.updateKeyRotationPolicy("java-key", new KeyRotationPolicy().setExpiresIn("P90D"));
        check(policy.getExpiresIn().equals("P90D"), "the policy is kept");
        check(!keys.rotateKey("java-key").getId().equals(key.getId()), "the key is rotated");
        keys.beginDeleteKey("java-key").setPollInterval(SOON).waitForCompletion();
        keys.purgeDeletedKey("java-key");
        System.out.println("keys " + key.getKeyType());
        System.exit(0);
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("not so: " + what);
        }
    }
}
