// Uses a vault through Azure's clients for Go, told nothing but what `kvstack env` sets, and who signs in.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

var ctx = context.Background()

func main() {
	vault := os.Getenv("AZURE_KEYVAULT_URL")
	credential := must(azidentity.NewDefaultAzureCredential(
		&azidentity.DefaultAzureCredentialOptions{DisableInstanceDiscovery: true}))
	useSecrets(must(azsecrets.NewClient(vault, credential, nil)))
	useKeys(must(azkeys.NewClient(vault, credential, nil)))
	useCertificates(must(azcertificates.NewClient(vault, credential, nil)))
}

func useSecrets(client *azsecrets.Client) {
	set := func(value string) azsecrets.SetSecretResponse {
		return must(client.SetSecret(ctx, "go-secret", azsecrets.SetSecretParameters{
			Value:       &value,
			ContentType: to.Ptr("text/plain"),
			Tags:        map[string]*string{"a": to.Ptr("b")},
		}, nil))
	}
	get := func(name, version string) string {
		return *must(client.GetSecret(ctx, name, version, nil)).Value
	}
	first := set("one")
	set("two")
	check(get("go-secret", "") == "two", "the newest version")
	check(get("go-secret", first.ID.Version()) == "one", "an older version")

	var names []string
	for pager := client.NewListSecretPropertiesPager(nil); pager.More(); {
		for _, secret := range must(pager.NextPage(ctx)).Value {
			names = append(names, secret.ID.Name())
		}
	}
	check(slices.Contains(names, "go-secret"), "the list has it")

	backup := must(client.BackupSecret(ctx, "go-secret", nil)).Value
	must(client.DeleteSecret(ctx, "go-secret", nil))
	_, err := client.GetSecret(ctx, "go-secret", "", nil)
	var refusal *azcore.ResponseError
	check(errors.As(err, &refusal) && refusal.StatusCode == http.StatusNotFound, "it is deleted")
	check(refusal.ErrorCode == "SecretNotFound", "the error has Azure's code")
	must(client.RecoverDeletedSecret(ctx, "go-secret", nil))
	must(client.DeleteSecret(ctx, "go-secret", nil))
	must(client.PurgeDeletedSecret(ctx, "go-secret", nil))
	must(client.RestoreSecret(ctx, azsecrets.RestoreSecretParameters{SecretBackup: backup}, nil))
	check(get("go-secret", first.ID.Version()) == "one", "the backup has every version")
	fmt.Println("secrets", get("greeting", ""))
}

func useKeys(client *azkeys.Client) {
	digest := sha256.Sum256([]byte("message"))
	signing := must(client.CreateKey(ctx, "go-signing", azkeys.CreateKeyParameters{
		Kty: to.Ptr(azkeys.KeyTypeEC), Curve: to.Ptr(azkeys.CurveNameP256)}, nil))
	version := signing.Key.KID.Version()
	signed := must(client.Sign(ctx, "go-signing", version, azkeys.SignParameters{
		Algorithm: to.Ptr(azkeys.SignatureAlgorithmES256), Value: digest[:]}, nil))
	verify := func(signature []byte) bool {
		return *must(client.Verify(ctx, "go-signing", version, azkeys.VerifyParameters{
			Algorithm: to.Ptr(azkeys.SignatureAlgorithmES256), Digest: digest[:], Signature: signature}, nil)).Value
	}
	check(verify(signed.Result), "the signature is right")
	signed.Result[0] ^= 1
	check(!verify(signed.Result), "another one is not")

	must(client.CreateKey(ctx, "go-hiding", azkeys.CreateKeyParameters{
		Kty: to.Ptr(azkeys.KeyTypeRSA), KeySize: to.Ptr(int32(2048))}, nil))
	hidden := must(client.Encrypt(ctx, "go-hiding", "", azkeys.KeyOperationParameters{
		Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: []byte("text")}, nil))
	shown := must(client.Decrypt(ctx, "go-hiding", "", azkeys.KeyOperationParameters{
		Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: hidden.Result}, nil))
	check(string(shown.Result) == "text", "what was encrypted is decrypted")
	secret := bytes.Repeat([]byte("k"), 32)
	wrapped := must(client.WrapKey(ctx, "go-hiding", "", azkeys.KeyOperationParameters{
		Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP), Value: secret}, nil))
	unwrapped := must(client.UnwrapKey(ctx, "go-hiding", "", azkeys.KeyOperationParameters{
		Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP), Value: wrapped.Result}, nil))
	check(bytes.Equal(unwrapped.Result, secret), "what was wrapped is unwrapped")

	policy := must(client.UpdateKeyRotationPolicy(ctx, "go-signing", azkeys.KeyRotationPolicy{
		Attributes: &azkeys.KeyRotationPolicyAttributes{ExpiryTime: to.Ptr("P90D")},
		LifetimeActions: []*azkeys.LifetimeAction{{
			Action:  &azkeys.LifetimeActionType{Type: to.Ptr(azkeys.KeyRotationPolicyActionRotate)},
			Trigger: &azkeys.LifetimeActionTrigger{TimeAfterCreate: to.Ptr("P30D")},
		}},
	}, nil))
	check(*policy.Attributes.ExpiryTime == "P90D", "the policy is kept")
	check(must(client.RotateKey(ctx, "go-signing", nil)).Key.KID.Version() != version, "the key is rotated")
	must(client.DeleteKey(ctx, "go-signing", nil))
	must(client.PurgeDeletedKey(ctx, "go-signing", nil))
	fmt.Println("keys", *signing.Key.Kty)
}

func useCertificates(client *azcertificates.Client) {
	must(client.CreateCertificate(ctx, "go-certificate", azcertificates.CreateCertificateParameters{
		CertificatePolicy: &azcertificates.CertificatePolicy{
			IssuerParameters: &azcertificates.IssuerParameters{Name: to.Ptr("Self")},
			X509CertificateProperties: &azcertificates.X509CertificateProperties{
				Subject: to.Ptr("CN=go.example.com"), ValidityInMonths: to.Ptr(int32(3))},
		}}, nil))
	for *must(client.GetCertificateOperation(ctx, "go-certificate", nil)).Status == "inProgress" {
	}
	made := must(client.GetCertificate(ctx, "go-certificate", "", nil))
	parsed := must(x509.ParseCertificate(made.CER))
	check(*made.Policy.X509CertificateProperties.ValidityInMonths == 3, "the policy is kept")
	fmt.Println("certificates", parsed.Subject)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func check(holds bool, what string) {
	if !holds {
		log.Fatal("not so: ", what)
	}
}
