// Package identity is who a process of Interlock is: an X.509 certificate whose
// only name is a URI, the authority that its peers are judged by, and the key
// that bundles are signed with.
//
// Peers are authenticated by authority and URI, never by a DNS name or an
// address: the addresses of tasks change hands. The cluster of a proxy is in
// its certificate, so that no request can say otherwise (I12).
package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"
)

// URIs of the two processes that are not proxies.
const (
	CoreURI      = "interlock://core"
	ExtensionURI = "interlock://extension"
)

const clusterPrefix = "interlock://cluster/"

// Lifetime of a minted certificate: longer than any absence of core that
// proxies are promised to survive (I7).
const Lifetime = 365 * 24 * time.Hour

const (
	authorityLifetime = 10 * Lifetime
	// skew is how far behind a node's clock may be.
	skew = time.Hour
)

// ErrNoAuthority means that an identity can't mint others: it is not core's.
var ErrNoAuthority = errors.New("identity: this identity holds no certificate authority")

// Identity is one process's certificate and key, its authority's certificate
// and the public half of the bundle key. Core's also holds both private halves.
// The zero Identity is of no use.
type Identity struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey

	authority    *x509.Certificate
	authorityKey *ecdsa.PrivateKey // core only

	verify  ed25519.PublicKey
	signing ed25519.PrivateKey // core only
}

// NewCore makes a new authority, a new bundle key, and core's identity by them.
func NewCore(now time.Time) (Identity, error) {
	id, err := newAuthority(now)
	if err != nil {
		return Identity{}, err
	}
	core, err := id.Mint(CoreURI, now)
	if err != nil {
		return Identity{}, err
	}
	core.authorityKey, core.signing = id.authorityKey, id.signing
	return core, nil
}

func newAuthority(now time.Time) (Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Identity{}, fmt.Errorf("make the authority's key: %w", err)
	}
	verify, signing, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Identity{}, fmt.Errorf("make the bundle key: %w", err)
	}
	template, err := template("interlock authority", now, authorityLifetime)
	if err != nil {
		return Identity{}, err
	}
	template.IsCA, template.MaxPathLenZero = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	cert, err := issue(template, template, &key.PublicKey, key)
	return Identity{authority: cert, authorityKey: key, verify: verify, signing: signing}, err
}

// Mint makes the identity of another process by the same authority, valid for
// Lifetime. It returns ErrNoAuthority unless the receiver is core's.
func (id Identity) Mint(uri string, now time.Time) (Identity, error) {
	if id.authorityKey == nil {
		return Identity{}, ErrNoAuthority
	}
	if !known(uri) {
		return Identity{}, fmt.Errorf("mint identity: %q is not a name of ours", uri)
	}
	name, err := url.Parse(uri)
	if err != nil {
		return Identity{}, fmt.Errorf("mint identity: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Identity{}, fmt.Errorf("mint identity %s: %w", uri, err)
	}
	template, err := template(uri, now, Lifetime)
	if err != nil {
		return Identity{}, err
	}
	template.URIs = []*url.URL{name}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	cert, err := issue(template, id.authority, &key.PublicKey, id.authorityKey)
	return Identity{cert: cert, key: key, authority: id.authority, verify: id.verify}, err
}

func template(name string, now time.Time, lifetime time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(lifetime),
		BasicConstraintsValid: true,
	}, nil
}

func issue(template, parent *x509.Certificate, pub *ecdsa.PublicKey, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, by)
	if err != nil {
		return nil, fmt.Errorf("issue certificate %q: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// URI is the identity's name.
func (id Identity) URI() string {
	uri, _ := uriOf(id.cert)
	return uri
}

// Expires is the end of the certificate's validity.
func (id Identity) Expires() time.Time { return id.cert.NotAfter }

// Authority is a fingerprint of the authority that made the identity: 16 hex
// digits.
func (id Identity) Authority() string {
	sum := sha256.Sum256(id.authority.Raw)
	return hex.EncodeToString(sum[:8])
}

// SigningKey signs bundles; nil unless the identity is core's.
func (id Identity) SigningKey() ed25519.PrivateKey { return id.signing }

// VerifyKey verifies bundles that core signed.
func (id Identity) VerifyKey() ed25519.PublicKey { return id.verify }

// ClusterURI is the name of the proxies of the cluster with that slug.
func ClusterURI(slug string) string { return clusterPrefix + slug }

// ClusterOf is the slug in a name made by ClusterURI; ok is false for any other name.
func ClusterOf(uri string) (slug string, ok bool) {
	slug, ok = strings.CutPrefix(uri, clusterPrefix)
	if !ok || slug == "" || strings.Trim(slug, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return "", false
	}
	return slug, true
}

func known(uri string) bool {
	_, cluster := ClusterOf(uri)
	return cluster || uri == CoreURI || uri == ExtensionURI
}
