package main

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/managers"
)

type Order struct{ Total int }

type Invoice struct{ Order, Total int }

func makeInvoice(ctx context.Context, o Order) (managers.Effects, error) {
	order := managers.DeliveryFrom(ctx)
	return managers.Emit("invoices", "invoice.made", Invoice{int(order.Position), o.Total}), nil
}

func run(ctx context.Context) error {
	servers := strings.Split(cmp.Or(os.Getenv("EDRI_URL"), client.DefaultServer), ",")
	cluster, err := client.New(client.Config{Servers: servers})
	if err != nil {
		return err
	}
	m, err := managers.New("invoices", managers.Config{Start: managers.Start{First: true}})
	if err != nil {
		return err
	}
	managers.Handle(m, "order.placed", makeInvoice)
	return m.Run(ctx, cluster)
}

func main() {
	slog.Error("invoices end", "error", run(context.Background()))
}
