package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// MaxSize bounds an encoded identity in bytes.
const MaxSize = 64 << 10

// PEM block types. The process's own pair has the usual ones, so that ordinary
// tools read it; the others can't be taken for it.
const (
	blockCert         = "CERTIFICATE"
	blockKey          = "PRIVATE KEY"
	blockAuthority    = "INTERLOCK AUTHORITY CERTIFICATE"
	blockAuthorityKey = "INTERLOCK AUTHORITY PRIVATE KEY"
	blockVerify       = "INTERLOCK BUNDLE PUBLIC KEY"
	blockSigning      = "INTERLOCK BUNDLE PRIVATE KEY"
)

// Marshal encodes the identity, private keys included, as PEM: what a secret holds.
func (id Identity) Marshal() ([]byte, error) {
	var buf bytes.Buffer
	var failed error
	add := func(kind string, der []byte, err error) {
		if failed == nil {
			failed = err
		}
		if failed == nil {
			failed = pem.Encode(&buf, &pem.Block{Type: kind, Bytes: der})
		}
	}
	private := func(kind string, key any) {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		add(kind, der, err)
	}
	if id.cert == nil || id.key == nil || id.authority == nil {
		return nil, errors.New("marshal identity: it is empty")
	}
	add(blockCert, id.cert.Raw, nil)
	private(blockKey, id.key)
	add(blockAuthority, id.authority.Raw, nil)
	der, err := x509.MarshalPKIXPublicKey(id.verify)
	add(blockVerify, der, err)
	if id.authorityKey != nil {
		private(blockAuthorityKey, id.authorityKey)
	}
	if id.signing != nil {
		private(blockSigning, id.signing)
	}
	if failed != nil {
		return nil, fmt.Errorf("marshal identity: %w", failed)
	}
	return buf.Bytes(), nil
}

// Parse reads what Marshal wrote. It checks that the parts belong together, not
// that the certificate is still valid: a peer decides that.
func Parse(data []byte) (Identity, error) {
	var id Identity
	if len(data) > MaxSize {
		return id, fmt.Errorf("parse identity: %d bytes, %d allowed", len(data), MaxSize)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if err := id.read(block); err != nil {
			return Identity{}, fmt.Errorf("parse identity: %s: %w", block.Type, err)
		}
	}
	if err := id.check(); err != nil {
		return Identity{}, fmt.Errorf("parse identity: %w", err)
	}
	return id, nil
}

func (id *Identity) read(block *pem.Block) (err error) {
	switch block.Type {
	case blockCert:
		id.cert, err = x509.ParseCertificate(block.Bytes)
	case blockAuthority:
		id.authority, err = x509.ParseCertificate(block.Bytes)
	case blockKey:
		id.key, err = private[*ecdsa.PrivateKey](block.Bytes)
	case blockAuthorityKey:
		id.authorityKey, err = private[*ecdsa.PrivateKey](block.Bytes)
	case blockSigning:
		id.signing, err = private[ed25519.PrivateKey](block.Bytes)
	case blockVerify:
		id.verify, err = verifyKey(block.Bytes)
	default:
		err = errors.New("not a part of an identity")
	}
	return err
}

func private[K any](der []byte) (K, error) {
	var none K
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return none, err
	}
	key, ok := parsed.(K)
	if !ok {
		return none, fmt.Errorf("key is a %T", parsed)
	}
	return key, nil
}

func verifyKey(der []byte) (ed25519.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("key is a %T", parsed)
	}
	return key, nil
}

// check says whether all parts are there and belong together.
func (id *Identity) check() error {
	if id.cert == nil || id.key == nil || id.authority == nil || id.verify == nil {
		return errors.New("certificate, key, authority or bundle key is missing")
	}
	if _, err := uriOf(id.cert); err != nil {
		return err
	}
	if !id.key.PublicKey.Equal(id.cert.PublicKey) {
		return errors.New("key and certificate do not belong together")
	}
	if err := id.cert.CheckSignatureFrom(id.authority); err != nil {
		return fmt.Errorf("certificate is not by the authority: %w", err)
	}
	if id.authorityKey != nil && !id.authorityKey.PublicKey.Equal(id.authority.PublicKey) {
		return errors.New("authority's key and certificate do not belong together")
	}
	if id.signing != nil && !id.verify.Equal(id.signing.Public()) {
		return errors.New("the halves of the bundle key do not belong together")
	}
	return nil
}
