package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// ServerTLS is for a listener: it demands a client certificate of the same
// authority. Who of them may do what is the caller's to decide, by PeerURI.
func (id Identity) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{id.certificate()},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    id.pool(),
		NextProtos:   []string{"h2"},
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := PeerURI(state)
			return err
		},
	}
}

// ClientTLS is for dialling the process named peerURI, at whatever address: any
// other one is refused, also with a certificate of the same authority.
func (id Identity) ClientTLS(peerURI string) *tls.Config {
	pool := id.pool()
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{id.certificate()},
		NextProtos:   []string{"h2"},
		// The standard check is by host name, which is not what names our
		// peers; VerifyConnection does the whole check instead.
		InsecureSkipVerify: true,
		VerifyConnection:   func(state tls.ConnectionState) error { return verifyServer(state, pool, peerURI) },
	}
}

func verifyServer(state tls.ConnectionState, pool *x509.CertPool, peerURI string) error {
	uri, err := PeerURI(state)
	if err != nil {
		return err
	}
	if uri != peerURI {
		return fmt.Errorf("identity: peer is %s, want %s", uri, peerURI)
	}
	_, err = state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots:     pool,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fmt.Errorf("identity: verify peer %s: %w", uri, err)
	}
	return nil
}

// PeerURI is the name of the other side of a connection made with ServerTLS or
// ClientTLS: they have verified it.
func PeerURI(state tls.ConnectionState) (string, error) {
	if len(state.PeerCertificates) == 0 {
		return "", errors.New("identity: the peer sent no certificate")
	}
	return uriOf(state.PeerCertificates[0])
}

// uriOf refuses certificates with several names: which one counts would be
// the reader's choice.
func uriOf(cert *x509.Certificate) (string, error) {
	if cert == nil || len(cert.URIs) != 1 || !known(cert.URIs[0].String()) {
		return "", errors.New("identity: the certificate does not carry exactly one name of ours")
	}
	return cert.URIs[0].String(), nil
}

func (id Identity) certificate() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{id.cert.Raw}, PrivateKey: id.key, Leaf: id.cert}
}

func (id Identity) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(id.authority)
	return pool
}
