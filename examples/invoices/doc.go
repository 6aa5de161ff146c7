// Invoices makes an invoice for each order, once, whatever crashes.
package main
