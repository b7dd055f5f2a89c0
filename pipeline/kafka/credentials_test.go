package kafka

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// The client's certificate may be replaced while the engine runs; until both files are, the former is presented.
func TestReplacedCertificate(t *testing.T) {
	server, ca := certificate(t)
	first, firstFile := certificate(t)
	second, secondFile := certificate(t)
	c := TLS{Enabled: true, CA: ca, ServerName: "127.0.0.1", Cert: filepath.Join(t.TempDir(), "cert"), Key: filepath.Join(t.TempDir(), "key")}
	replace := func(to, from string) {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := func(cert tls.Certificate) string {
		der, err := x509.MarshalECPrivateKey(cert.PrivateKey.(*ecdsa.PrivateKey))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	if _, err := c.load(); err == nil {
		t.Error("files that are not there are no error at start")
	}
	replace(c.Cert, firstFile)
	replace(c.Key, key(first))
	cfg, err := c.load()
	if err != nil {
		t.Fatal(err)
	}
	presented := func(authorities *x509.CertPool) [][]byte {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		go tls.Client(near, cfg).Handshake()
		s := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequestClientCert, ClientCAs: authorities})
		if err := s.Handshake(); err != nil {
			t.Fatal(err)
		}
		var got [][]byte
		for _, p := range s.ConnectionState().PeerCertificates {
			got = append(got, p.Raw)
		}
		return got
	}
	same := func(what string, want tls.Certificate) {
		t.Helper()
		if got := presented(nil); len(got) != 1 || !bytes.Equal(got[0], want.Certificate[0]) {
			t.Errorf("%s: presented are %d certificates, or another one", what, len(got))
		}
	}
	same("at first", first)
	replace(c.Cert, secondFile)
	same("one file is replaced", first)
	replace(c.Key, key(second))
	same("both are", second)
	other := x509.NewCertPool()
	other.AddCert(&x509.Certificate{Raw: []byte("other"), RawSubject: []byte("other")})
	if got := presented(other); len(got) != 0 {
		t.Errorf("%d certificates are presented to who trusts none of them", len(got))
	}
}

// A password in a file may be replaced while the engine runs.
func TestReplacedPassword(t *testing.T) {
	s := SASL{Mechanism: "plain", Username: "u", PasswordFile: filepath.Join(t.TempDir(), "pw")}
	if _, err := s.load(); err == nil {
		t.Error("a file that is not there is no error at start")
	}
	write := func(password string) {
		if err := os.WriteFile(s.PasswordFile, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	m, err := s.load()
	if err != nil || m.Name() != "PLAIN" {
		t.Fatal(m, err)
	}
	for _, password := range []string{"one", "two"} {
		write(password)
		if _, said, err := m.Start(context.Background()); err != nil || string(said) != "\x00u\x00"+password {
			t.Errorf("said is %q, %v with password %q", said, err, password)
		}
	}
	os.Remove(s.PasswordFile)
	if _, _, err := m.Start(context.Background()); err == nil {
		t.Error("a file that is gone is no error")
	}
}
