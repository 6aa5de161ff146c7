package main

import (
	"encoding/json"
	"time"
)

// Order is the input of the workflow fulfil. The order's id is that of its run.
type Order struct {
	Customer string   `json:"customer"`
	Card     string   `json:"card"`
	Address  string   `json:"address"`
	Items    []string `json:"items"`
	Total    int      `json:"total"` // cents
	// ShipWithin is how long the order waits to be shipped.
	ShipWithin Duration `json:"ship_within"`
}

// Shipment is the input of the signal "shipped".
type Shipment struct {
	Carrier string `json:"carrier"`
	Parcel  string `json:"parcel"`
}

// State is the answer to the query "state".
type State struct {
	Stage   Stage  `json:"stage"`
	Address string `json:"address"`
}

// Stage is how far an order is.
type Stage string

// The stages, in their order; cancelled may follow each.
const (
	Charging  Stage = "charging"
	Reserving Stage = "reserving"
	Waiting   Stage = "waiting to be shipped"
	Completed Stage = "completed"
	Cancelled Stage = "cancelled"
)

// Closing is how an order ended: the result of fulfil, the data of the events
// order.completed and order.cancelled, and the value of the key orders/ID.
type Closing struct {
	Order    string   `json:"order"`
	Customer string   `json:"customer"`
	Stage    Stage    `json:"stage"`
	Address  string   `json:"address,omitempty"`
	Total    int      `json:"total,omitempty"`
	Payment  string   `json:"payment,omitempty"`
	Shipment Shipment `json:"shipment,omitzero"`
	Why      string   `json:"why,omitempty"` // of one that was cancelled
}

// Duration is text such as "48h" in JSON.
type Duration time.Duration

// MarshalJSON writes "48h0m0s".
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads what time.ParseDuration does.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(text)
	*d = Duration(parsed)
	return err
}
