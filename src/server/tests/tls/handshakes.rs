//! Handshakes that are odd, hostile, or very many.

use super::*;

/// A connection by TCP alone.
fn socket(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// What comes after these bytes, until the server closes.
fn after(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = socket(address);
    // Whoever hangs up on nonsense may do so before it has read all of it.
    let _ = socket.write_all(bytes);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    answer
}

/// The first flight of a good client.
fn hello(config: ClientConfig, name: &str) -> Vec<u8> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut flight = Vec::new();
    connection.write_tls(&mut flight).unwrap();
    flight
}

// TLS-07
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_handshake_ends_its_own_connection_alone() {
    let place = Place::new();
    let mut setup = place.setup();
    setup.limits.head_timeout = Duration::from_secs(1);
    let server = setup.start();
    let good = place.clients.client(NAME);
    let address = server.address;
    let flight = hello(client_config(&place.serving, Some(&good), &TLS13), "localhost");
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("garbage", (0_u8..=255).cycle().take(64 * 1024).collect()),
        ("zeros", vec![0; 64 * 1024]),
        ("a record that says to be larger than any", [&[22, 3, 1, 0xFF, 0xFF][..], &[1; 70_000]].concat()),
        ("a hello that says to be 16 MiB", [&[22, 3, 1, 0x40, 0, 1, 0xFF, 0xFF, 0xFF][..], &[0; 20_000]].concat()),
        ("half a hello", flight[..flight.len() / 2].to_vec()),
        ("two hellos", [flight.clone(), flight.clone()].concat()),
        ("a hello, then application data", [&flight[..], &[23, 3, 3, 0, 5, 1, 2, 3, 4, 5]].concat()),
        ("empty records", [22, 3, 3, 0, 0].repeat(4096)),
        ("SSL 2", vec![0x80, 0x2E, 1, 0, 2, 0, 21, 0, 0, 0, 16]),
        ("nothing", Vec::new()),
    ];
    for (row, bytes) in rows {
        let answer = tokio::task::spawn_blocking(move || after(address, &bytes)).await.unwrap();
        // An alert, or the first flight of a handshake that went no further; never a word of HTTP.
        assert!(!answer.windows(4).any(|part| part == b"HTTP"), "{row}");
        place.ask(&server, Some(&good)).await.unwrap_or_else(|error| panic!("after {row}: {error}"));
    }
    server.stop().await;
}

// TLS-07: a slow client is no bad client, as long as it ends in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hello_in_single_bytes_is_understood() {
    let place = Place::new();
    let server = place.start();
    let (good, address) = (place.clients.client(NAME), server.address);
    let flight = hello(client_config(&place.serving, Some(&good), &TLS13), "localhost");
    let answer = tokio::task::spawn_blocking(move || {
        let mut socket = socket(address);
        flight.chunks(1).for_each(|byte| socket.write_all(byte).unwrap());
        let mut head = [0; 5];
        socket.read_exact(&mut head).unwrap();
        head
    });
    assert_eq!(answer.await.unwrap()[0], 22, "a handshake record");
    server.stop().await;
}

// TLS-08: Gatekeeper speaks HTTP/1.1; there is no other protocol to flood.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_is_not_spoken() {
    let place = Place::new();
    let server = place.start();
    let (good, address) = (place.clients.client(NAME), server.address);
    for offered in [vec![b"h2".to_vec()], vec![b"h2".to_vec(), b"http/1.1".to_vec()], vec![]] {
        let mut config = client_config(&place.serving, Some(&good), &TLS13);
        let alone = offered == [b"h2".to_vec()];
        config.alpn_protocols = offered;
        let (protocol, answer) = tokio::task::spawn_blocking(move || {
            let name = ServerName::try_from("localhost").unwrap();
            let connection = ClientConnection::new(Arc::new(config), name).unwrap();
            let mut stream = StreamOwned::new(connection, socket(address));
            // The preface, settings, and a stream that is reset at once, many times over.
            let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
            bytes.extend([0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8].repeat(1000));
            let _ = stream.write_all(&bytes);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            (stream.conn.alpn_protocol().map(<[u8]>::to_vec), answer)
        })
        .await
        .unwrap();
        assert_ne!(protocol.as_deref(), Some(&b"h2"[..]));
        // A frame of settings is what an HTTP/2 server says first.
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{alone}: {answer:?}");
    }
    place.ask(&server, Some(&good)).await.unwrap();
    server.stop().await;
}

// TLS-09
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_name_or_none_is_shown_the_one_certificate() {
    let place = Place::new();
    let server = place.start();
    let (good, address) = (place.clients.client(NAME), server.address);
    // An address is no server name; the longest name has 253 characters.
    let long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61));
    for name in ["unknown.example.com", "127.0.0.1", long.as_str()] {
        let flight = hello(client_config(&place.serving, Some(&good), &TLS13), name);
        let answer = tokio::task::spawn_blocking(move || {
            let mut socket = socket(address);
            socket.write_all(&flight).unwrap();
            let mut head = [0; 6];
            socket.read_exact(&mut head).unwrap();
            head
        });
        // A handshake record with a server's hello; an alert would be 21.
        assert_eq!(answer.await.unwrap().map(usize::from)[..1], [22], "{name}");
    }
    let (serving, _) = place.ask(&server, Some(&good)).await.unwrap();
    assert_eq!(serving.to_vec(), {
        let pem = fs::read(place.path().join("tls.crt")).unwrap();
        rustls::pki_types::pem::PemObject::from_pem_slice(&pem)
            .map(|der: CertificateDer<'static>| der.to_vec())
            .unwrap()
    });
    server.stop().await;
}

// TLS-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_new_connections_fail_none() {
    let place = Place::new();
    let server = place.start();
    let good = place.clients.client(NAME);
    let asks = (0..300).map(|_| place.ask(&server, Some(&good)));
    let answers = futures_util::future::join_all(asks).await;
    let failed: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:?}");
    server.stop().await;
}

// TLS-11: a ticket would let a client in again whose authority is gone; none is given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_given_to_come_back_with() {
    let place = Place::new();
    let server = place.start();
    let (good, address) = (place.clients.client(NAME), server.address);
    let config = Arc::new(client_config(&place.serving, Some(&good), &TLS13));
    for _ in 0..3 {
        let config = Arc::clone(&config);
        let kinds = tokio::task::spawn_blocking(move || {
            let connection = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
            let mut stream = StreamOwned::new(connection, socket(address));
            let body = request(&["registry.example/app/good:1"]);
            stream.write_all(&post("/ratify/gatekeeper/v1/verify", "Connection: close\r\n", body.as_bytes())).unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).unwrap();
            (stream.conn.handshake_kind(), stream.conn.tls13_tickets_received())
        });
        assert_eq!(kinds.await.unwrap(), (Some(rustls::HandshakeKind::Full), 0));
    }
    server.stop().await;
}
