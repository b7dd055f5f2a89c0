package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Who we are, and whom we trust. An engine runs for longer than certificates live and passwords stay: those in files are
// read again for every connection. Of the authorities only a start reads.

func (t *TLS) load() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.Insecure}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("tls.ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: %s holds no PEM certificate", t.CA)
		}
	}
	if t.Cert != "" {
		pair := &keyPair{cert: t.Cert, key: t.Key}
		if _, err := pair.read(); err != nil {
			return nil, fmt.Errorf("tls.cert, tls.key: %w", err)
		}
		cfg.GetClientCertificate = pair.present
	}
	return cfg, nil
}

// keyPair is the client's certificate with its key. Safe for concurrent use.
type keyPair struct {
	cert, key string // files

	mu   sync.Mutex
	last *tls.Certificate // guarded by mu: the last one that could be read
}

// read reads the files. While they are not a pair, because one is replaced after the other, it is the pair before.
func (p *keyPair) read() (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(p.cert, p.key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.last = &cert
	}
	if p.last == nil {
		return nil, err
	}
	return p.last, nil
}

// present is the certificate for a broker that asks for one; empty when it wants one of another authority.
func (p *keyPair) present(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	cert, err := p.read()
	if err != nil {
		return nil, err
	}
	if asked.SupportsCertificate(cert) != nil {
		return new(tls.Certificate), nil
	}
	return cert, nil
}

func (s *SASL) load() (sasl.Mechanism, error) {
	if s.Mechanism == "" {
		return nil, nil
	}
	m, err := s.now()
	if err != nil || s.PasswordFile == "" {
		return m, err
	}
	return &account{of: *s, name: m.Name()}, nil
}

// now is the mechanism with the password of now.
func (s *SASL) now() (sasl.Mechanism, error) {
	password, err := s.password()
	if err != nil {
		return nil, err
	}
	switch s.Mechanism {
	case "plain":
		return plain.Mechanism{Username: s.Username, Password: password}, nil
	case "scram-sha-256":
		return scram.Mechanism(scram.SHA256, s.Username, password)
	case "scram-sha-512":
		return scram.Mechanism(scram.SHA512, s.Username, password)
	}
	return nil, fmt.Errorf("sasl.mechanism: %q is unknown", s.Mechanism)
}

func (s *SASL) password() (string, error) {
	if s.PasswordFile == "" {
		return string(s.Password), nil
	}
	b, err := os.ReadFile(s.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("sasl.password_file: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// account is a mechanism whose password is in a file. Constant.
type account struct {
	of   SASL
	name string
}

// Name implements sasl.Mechanism.
func (a *account) Name() string { return a.name }

// Start implements sasl.Mechanism.
func (a *account) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	m, err := a.of.now()
	if err != nil {
		return nil, nil, err
	}
	return m.Start(ctx)
}
