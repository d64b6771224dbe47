//! The durable store: sled with the guards that make it keep its promises.
