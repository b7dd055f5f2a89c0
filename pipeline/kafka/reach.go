package kafka

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
)

// reach gets metadata: the first request, whose failure says what is wrong with the connection.
func (c *client) reach(ctx context.Context) (*kafka.MetadataResponse, error) {
	meta, err := c.client.Metadata(ctx, &kafka.MetadataRequest{Topics: c.cfg.topics()})
	if err == nil {
		return meta, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, c.explainConnection(ctx, err)
}

// explainConnection turns why no broker answered into a sentence.
func (c *client) explainConnection(ctx context.Context, err error) error {
	cfg := &c.cfg
	brokers := strings.Join(cfg.Brokers, ", ")
	var unknownCA x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case errors.As(err, &unknownCA):
		return fmt.Errorf("the certificate of the broker at %s is signed by an authority that is not trusted: set tls.ca to that authority's PEM file (%w)", brokers, err)
	case errors.As(err, &hostname):
		return fmt.Errorf("the certificate of the broker at %s is for another name: connect by a name that is in it, or set tls.server_name (%w)", brokers, err)
	case errors.As(err, &invalid):
		return fmt.Errorf("the certificate of the broker at %s is not valid (%w)", brokers, err)
	case errors.As(err, &record):
		return fmt.Errorf("the broker at %s does not speak TLS on this port: use its TLS listener's port, or set tls.enabled: false (%w)", brokers, err)
	case isAny(err, kafka.SASLAuthenticationFailed):
		return fmt.Errorf("the broker at %s refused user %q by %s: check sasl.username, the password and sasl.mechanism (%w)", brokers, cfg.SASL.Username, cfg.SASL.Mechanism, err)
	case isAny(err, kafka.UnsupportedSASLMechanism):
		return fmt.Errorf("the broker at %s does not offer sasl.mechanism %s: ask which it does (%w)", brokers, cfg.SASL.Mechanism, err)
	case isAny(err, kafka.IllegalSASLState):
		return fmt.Errorf("the broker at %s does not expect SASL on this port: use its SASL listener's port, or unset sasl.mechanism (%w)", brokers, err)
	case errors.As(err, &dns):
		return fmt.Errorf("the host of a broker in %s has no address: check the names in brokers (%w)", brokers, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens at %s: check the addresses and ports in brokers, and that the broker runs (%w)", brokers, err)
	case closedByPeer(err) && !cfg.TLS.Enabled && !c.speaksPlain(ctx) && c.speaksTLS(ctx):
		return fmt.Errorf("the broker at %s speaks TLS on this port: set tls.enabled: true, and tls.ca if its authority is your own (%w)", brokers, err)
	case cfg.TLS.Enabled && (closedByPeer(err) || timedOut(err)) && c.speaksPlain(ctx):
		return fmt.Errorf("the broker at %s does not speak TLS on this port: use its TLS listener's port, or set tls.enabled: false (%w)", brokers, err)
	case closedByPeer(err) && cfg.SASL.Mechanism == "":
		return fmt.Errorf("the broker at %s closed the connection: it probably wants SASL, set sasl.mechanism, username and password (%w)", brokers, err)
	case closedByPeer(err):
		return fmt.Errorf("the broker at %s closed the connection while user %q authenticated by %s: check sasl.username, the password and sasl.mechanism (%w)", brokers, cfg.SASL.Username, cfg.SASL.Mechanism, err)
	case timedOut(err):
		return fmt.Errorf("no broker answered at %s within %s: check the addresses in brokers, firewalls, and whether the port is a Kafka listener (%w)", brokers, requestTimeout, err)
	}
	return fmt.Errorf("cannot talk to the broker at %s: %w", brokers, err)
}

func closedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func timedOut(err error) bool {
	var op net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &op) && op.Timeout()
}

// speaksPlain asks the brokers for their API versions without TLS, which every listener without TLS answers,
// even before SASL.
func (c *client) speaksPlain(ctx context.Context) bool {
	request := []byte{0, 0, 0, 10, 0, 18, 0, 0, 0x53, 0x50, 0x4f, 0x52, 0xff, 0xff} // key 18, version 0, correlation, no client id
	for _, b := range c.cfg.Brokers {
		conn, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "tcp", b)
		if err != nil {
			continue
		}
		conn.SetDeadline(time.Now().Add(3 * time.Second))
		var head [8]byte
		_, err = conn.Write(request)
		if err == nil {
			_, err = io.ReadFull(conn, head[:])
		}
		conn.Close()
		if err == nil && bytes.Equal(head[4:], request[8:12]) {
			return true
		}
	}
	return false
}

// speaksTLS tries a TLS handshake with the brokers, whatever their certificate: nothing is sent but the
// handshake.
func (c *client) speaksTLS(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for _, b := range c.cfg.Brokers {
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // nothing secret follows
		conn, err := d.DialContext(ctx, "tcp", b)
		if err == nil {
			conn.Close()
			return true
		}
		// A broker that wants a client certificate speaks TLS too.
		var alert tls.AlertError
		if errors.As(err, &alert) {
			return true
		}
	}
	return false
}
