package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/edri-io/edri/workflows"
)

// Charge is what the payment service is asked to take.
type Charge struct {
	Order  string `json:"order"`
	Card   string `json:"card"`
	Amount int    `json:"amount"` // cents
}

// idempotencyKey is the header by which the service tells a repeat.
const idempotencyKey = "Idempotency-Key"

// payments asks a payment service.
type payments struct {
	url    string
	client *http.Client
}

// charge returns the payment's id.
func (p *payments) charge(ctx context.Context, c Charge) (string, error) {
	var made struct {
		Payment string `json:"payment"`
	}
	err := p.post(ctx, "/charges", c, &made)
	return made.Payment, err
}

func (p *payments) refund(ctx context.Context, payment string) (struct{}, error) {
	return struct{}{}, p.post(ctx, "/refunds", map[string]string{"payment": payment}, nil)
}

// post posts JSON, with the id of the step as the key.
func (p *payments) post(ctx context.Context, path string, body, answer any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+path, bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(idempotencyKey, workflows.EffectID(ctx))
	response, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusPaymentRequired:
		return workflows.Final(workflows.NewError("declined", "the card is declined", nil))
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("payment service: %s", response.Status)
	case answer == nil:
		return nil
	}
	return json.NewDecoder(response.Body).Decode(answer)
}
