//! A tap on a wire: it passes bytes both ways between clients and the edge and
//! remembers what the clients sent, to hold against what arrived. Changes
//! nothing.

use std::io::{Cursor, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::client::connect_from;
use crate::wire::{Framing, Head, Wire};

/// A request as its client sent it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

/// A running tap. Its threads end with the connections they serve.
pub(crate) struct Tap {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    taken: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    /// A tap before this address, which sees all clients come from `source`.
    pub(crate) fn before(target: SocketAddr, source: Ipv4Addr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::clone(&taken);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, connect_from(source, target)) else {
                    continue;
                };
                drop((client.set_nodelay(true), server.set_nodelay(true)));
                let number = {
                    let mut connections = connections.lock().unwrap();
                    connections.push(Vec::new());
                    connections.len() - 1
                };
                let taken = Arc::clone(&connections);
                let (up, down) = (
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server, client),
                );
                thread::spawn(move || {
                    pump(up.0, up.1, &|piece| {
                        taken.lock().unwrap()[number].extend_from_slice(piece)
                    })
                });
                thread::spawn(move || pump(down.0, down.1, &|_| ()));
            }
        });
        Self { address, taken }
    }

    /// Every whole request that passed.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        let mut sent = Vec::new();
        for bytes in self.taken.lock().unwrap().iter() {
            let mut wire = Wire::new(Cursor::new(bytes.clone()));
            while let Ok(Some(head)) = wire.head() {
                let mut body = Vec::new();
                let framing = Framing::of_request(&head.headers).unwrap();
                if wire
                    .body(framing, &mut |piece| body.extend_from_slice(piece))
                    .is_err()
                {
                    break;
                }
                sent.push(Sent { head, body });
            }
        }
        sent
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, look: &dyn Fn(&[u8])) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        look(&piece[..count]);
        if to.write_all(&piece[..count]).is_err() {
            drop(from.shutdown(Shutdown::Read));
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
}
