package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/workflows"
)

var greet = workflows.NewStep("greet", func(_ context.Context, name string) (string, error) {
	return "hello, " + name, nil
})

var Hello = workflows.Define("hello", 1, func(ctx workflows.Context, name string) (string, error) {
	if err := workflows.Sleep(ctx, time.Second); err != nil {
		return "", err
	}
	return greet.Do(ctx, name)
})

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	servers := cmp.Or(os.Getenv("EDRI_URL"), client.DefaultServer)
	if err := work(ctx, strings.Split(servers, ",")...); err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
}

// work runs the workflow's code, as one of its workers, until ctx ends.
func work(ctx context.Context, servers ...string) error {
	c, err := client.New(client.Config{Servers: servers})
	if err != nil {
		return err
	}
	defer c.Close()
	runner, err := workflows.NewRunner(workflows.Config{}, Hello)
	if err != nil {
		return err
	}
	return runner.Run(ctx, c)
}
