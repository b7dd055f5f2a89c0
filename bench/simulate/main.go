// Command simulate writes made traffic of Windows hosts as recorded traffic: one record a line, plain, .gz or
// .zst by the output's name. The same flags give the same bytes.
package main

import (
	"bufio"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"spoor/bench"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "simulate:", err)
		os.Exit(1)
	}
}

func run() error {
	seed := flag.Uint64("seed", 1, "what everything is drawn from")
	hosts := flag.Int("hosts", 20, "number of hosts")
	events := flag.Int("events", 0, "stop after that many events (default 100000 when there is no -duration)")
	duration := flag.Duration("duration", 0, "stop after that much simulated time")
	start := flag.String("start", bench.DefaultStart.Format(time.RFC3339), "when the first host boots")
	attacks := flag.String("attacks", "all", "all, none, or names with commas: "+strings.Join(bench.AttackNames(), ","))
	out := flag.String("o", "-", "output file; - is standard output")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	at, err := time.Parse(time.RFC3339, *start)
	if err != nil {
		return fmt.Errorf("-start: %w", err)
	}
	cfg := bench.Config{Seed: *seed, Hosts: *hosts, Events: *events, Duration: *duration, Start: at}
	if cfg.Events == 0 && cfg.Duration == 0 {
		cfg.Events = 100_000
	}
	switch *attacks {
	case "all":
		cfg.Attacks = bench.AttackNames()
	case "none", "":
	default:
		cfg.Attacks = strings.Split(*attacks, ",")
	}
	return write(cfg, *out)
}

// write makes the traffic and stores it under the name.
func write(cfg bench.Config, name string) (err error) {
	if err := cfg.Validate(); err != nil {
		return err // before there is a file, or what stands in it is lost
	}
	to := os.Stdout
	if name != "-" {
		if to, err = os.Create(name); err != nil {
			return err
		}
		defer func() {
			if cerr := to.Close(); err == nil {
				err = cerr
			}
		}()
	}
	w, err := compressed(to, name)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 1<<16)
	var line []byte
	if err := bench.Generate(cfg, func(r bench.Record) error {
		line = bench.AppendLine(line[:0], r)
		_, err := b.Write(line)
		return err
	}); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	return w.Close()
}

func compressed(to io.Writer, name string) (io.WriteCloser, error) {
	switch {
	case strings.HasSuffix(name, ".zst"):
		return zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	case strings.HasSuffix(name, ".gz"):
		return gzip.NewWriterLevel(to, gzip.BestCompression)
	}
	return nopCloser{to}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
