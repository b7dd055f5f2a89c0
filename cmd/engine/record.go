package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"spoor/pipeline"
	"spoor/pipeline/file"
	"spoor/pipeline/kafka"
)

func (a *app) recordCommand() *cobra.Command {
	var config, topic, out string
	var latest, follow bool
	cmd := &cobra.Command{
		Use:   "record --config FILE -o FILE",
		Short: "Write a topic to a file of recorded traffic",
		Long: `Read a topic, by default the configured input, from its beginning to where it ends now, and write each record
as a line of recorded traffic: topic, partition, offset, time, key, headers and value. No consumer group is
involved. The file can be given to replay, diff and explain.`,
		Example: "  engine record --config engine.yaml -o traffic.ndjson.zst\n" +
			"  engine record --config engine.yaml --topic signals --follow --latest -o -",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			cfg, err := a.loadConfig(config)
			if err != nil {
				return err
			}
			if topic == "" {
				topic = cfg.Kafka.Input
			}
			// The file is made when the topic has been found: what stands there is not lost to a wrong name.
			var w *file.Writer
			open := func() (err error) {
				if w == nil && out == file.Stdin {
					w = file.NewWriter(a.stdout)
				} else if w == nil {
					w, err = file.Create(out)
				}
				return err
			}
			defer func() {
				if w != nil {
					err = firstError(err, w.Close())
				}
			}()
			n := 0
			err = kafka.Read(cmd.Context(), cfg.Cluster(), kafka.ReadOptions{Topic: topic, Latest: latest, Follow: follow},
				pipeline.NewMetrics(nil), a.logger(cfg.Log), func(tp pipeline.TopicPartition, records []pipeline.Record) error {
					if err := open(); err != nil {
						return err
					}
					for i := range records {
						if err := w.Write(tp, &records[i]); err != nil {
							return err
						}
					}
					n += len(records)
					if follow {
						return w.Flush()
					}
					return nil
				})
			if follow && errors.Is(err, context.Canceled) {
				err = nil // following ends with Ctrl-C
			}
			if err == nil {
				err = open() // a topic without records
			}
			if err == nil && out != file.Stdin {
				fmt.Fprintf(a.stderr, "%d records of %s in %s\n", n, topic, out)
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", "", "configuration file, as for run")
	cmd.Flags().StringVarP(&topic, "topic", "t", "", "topic; default: kafka.input")
	cmd.Flags().StringVarP(&out, "output", "o", "-", "file to write (.gz and .zst compress), - is standard output")
	cmd.Flags().BoolVar(&latest, "latest", false, "start where the topic ends now")
	cmd.Flags().BoolVar(&follow, "follow", false, "go on until Ctrl-C")
	return cmd
}
