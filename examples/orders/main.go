package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/workflows"
)

func main() {
	server := flag.String("server", cmp.Or(os.Getenv("EDRI_URL"), client.DefaultServer), "nodes, with commas between")
	pay := flag.String("pay", "http://127.0.0.1:7430", "URL of the payment service")
	listen := flag.String("payments", "", "be the payment service at this address instead of a worker")
	report := flag.Duration("report", 24*time.Hour, "time between two reports")
	delay := flag.Duration("delay", 0, "of each answer of the payment service")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "orders: there are no arguments, such as %q\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *listen != "" {
		err = serve(ctx, *listen, *delay)
	} else {
		err = work(ctx, strings.Split(*server, ","), *pay, *report)
	}
	if err != nil {
		slog.Error("orders ends", "error", err)
		stop()
		os.Exit(1)
	}
}

// work runs the workflows until ctx ends.
func work(ctx context.Context, servers []string, pay string, reportEvery time.Duration) error {
	cluster, err := client.New(client.Config{Servers: servers})
	if err != nil {
		return err
	}
	defer cluster.Close()
	for _, name := range []string{orderKeys, reservedKeys} {
		if _, err := cluster.EnsureBucket(ctx, name, client.BucketConfig{}); err != nil {
			return err
		}
	}
	if err := scheduleReports(ctx, cluster, reportEvery); err != nil {
		return err
	}
	runner, err := workflows.NewRunner(workflows.Config{Logger: slog.Default()}, newShop(&payments{pay, http.DefaultClient}, cluster).workflows()...)
	if err != nil {
		return err
	}
	return runner.Run(ctx, cluster)
}

// serve is the payment service until ctx ends.
func serve(ctx context.Context, address string, delay time.Duration) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: newService(delay).handler()}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
